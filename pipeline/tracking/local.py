"""A store on this machine: how its database is named, and which folders its models can lie in."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote

from pipeline.errors import TrackingError

_OWN = "file:"  # SQLite's own URIs, in which every character can be escaped


def sqlite_uri(path: Path, driver: str = "pysqlite") -> str:
    """What SQLAlchemy calls the database in a file.

    Args:
        path: of the file, absolute; options may follow its name after a question mark.
        driver: SQLAlchemy's, needed where a folder has a question mark in its name.
    """
    if "?" not in str(path.parent):
        return f"sqlite:///{path.as_posix()}"
    name, _, options = path.name.partition("?")
    return (
        f"sqlite+{driver}:///{_OWN}{quote((path.parent / name).as_posix())}?uri=true{'&' if options else ''}{options}"
    )


def sqlite_file(uri: str) -> Path | None:
    """The file that a URI of `sqlite_uri` names; None for a URI of another kind."""
    name = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", uri)
    if not name or not name[1].removeprefix(_OWN).startswith("/"):
        return None
    return Path(unquote(name[1].removeprefix(_OWN)) if name[1].startswith(_OWN) else name[1])


def check_folder(root: Path) -> None:
    """Refuse a folder that MLflow cannot load models from: it decodes their paths once too often.

    Raises:
        TrackingError: a name on the way to `root` holds the code of a character, such as %20.
    """
    codes = dict.fromkeys(re.findall(r"%[0-9A-Fa-f]{2}", str(root)))
    if codes:
        raise TrackingError(
            f"{root}: MLflow reads {', '.join(codes)} in the name of a folder as the code of another character and "
            "does not find the models that are stored there; rename the folder, or set MLFLOW_TRACKING_URI to a server"
        )
