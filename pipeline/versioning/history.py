"""data/<name>.versions.yaml: the versions of a data set, oldest first; a version keeps its number for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pipeline.data.layout import versions_file
from pipeline.errors import DataError
from pipeline.tables import write_text
from pipeline.versioning.names import FOLDER
from pipeline.versioning.pointer import Pointer

_HEAD = "# Written by `croft data add`; commit it together with the .dvc file beside it.\n"


@dataclass(frozen=True)
class Version:
    """One version.

    Attributes:
        number: from 1.
        md5: DVC's hash of its listing.
        date: when it was added, UTC, ISO 8601.
        images: how many.
        bytes: of all its files.
        files: images and the table of given splits.
        source: what was added, as it was typed.
        git_commit: the commit on which the version was added; the one that holds it comes after.
        run_id: the MLflow run that recorded it; empty where tracking failed.
    """

    number: int
    md5: str
    date: str
    images: int
    bytes: int
    files: int
    source: str
    git_commit: str = ""
    run_id: str = ""

    @property
    def pointer(self) -> Pointer:
        """What the .dvc file said."""
        return Pointer(self.md5, self.bytes, self.files)


def history_path(root: Path, name: str) -> Path:
    """<root>/data/<name>.versions.yaml."""
    return versions_file(root / FOLDER / name)


def read_history(root: Path, name: str) -> list[Version]:
    """The versions, oldest first; [] where there is no such file.

    Raises:
        DataError: the file is not a list of versions.
    """
    import yaml

    path = history_path(root, name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        versions = [Version(**item) for item in content["versions"]]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError):
        raise DataError(f"{path}: not a list of versions; restore it with `git checkout -- {path}`") from None
    if [version.number for version in versions] != list(range(1, len(versions) + 1)):
        raise DataError(f"{path}: expected versions numbered 1, 2, ...; resolve what a git merge left in the file")
    return versions


def write_history(root: Path, name: str, versions: Sequence[Version]) -> None:
    """Replace the file."""
    import yaml

    optional = {field.name for field in fields(Version) if field.default == ""}
    items = [{key: value for key, value in asdict(v).items() if value or key not in optional} for v in versions]
    write_text(
        _HEAD + yaml.safe_dump({"versions": items}, sort_keys=False, allow_unicode=True), history_path(root, name)
    )


def number_of(versions: Sequence[Version], md5: str) -> int | None:
    """The latest version with this content."""
    return next((version.number for version in reversed(versions) if version.md5 == md5), None)
