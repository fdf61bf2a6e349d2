"""The .dvc file of a data set: the hash of its listing, the only trace of its files in git."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.tables import write_text
from pipeline.versioning.names import FOLDER


@dataclass(frozen=True)
class Pointer:
    """What a .dvc file says of a folder.

    Attributes:
        md5: DVC's hash of the folder's listing, ending in `.dir`.
        bytes: of all files.
        files: how many.
    """

    md5: str
    bytes: int
    files: int


def pointer_path(root: Path, name: str) -> Path:
    """<root>/data/<name>.dvc."""
    return root / FOLDER / f"{name}.dvc"


def read_pointer(root: Path, name: str) -> Pointer | None:
    """What the workspace's .dvc file says; None where the name is not under DVC.

    Raises:
        DataError: it is not the .dvc file of a folder.
    """
    path = pointer_path(root, name)
    try:
        return parse_pointer(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def parse_pointer(text: str, source: str) -> Pointer:
    """Read a .dvc file's text.

    Raises:
        DataError: it is not the .dvc file of a folder; names `source`.
    """
    import yaml

    try:
        (out,) = yaml.safe_load(text)["outs"]
        pointer = Pointer(str(out["md5"]), int(out["size"]), int(out["nfiles"]))
    except (yaml.YAMLError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{source}: not the .dvc file of a folder; put the folder under DVC with `croft data add`"
        ) from None
    if not re.fullmatch(r"[0-9a-f]{32}\.dir", pointer.md5):
        raise DataError(f"{source}: md5: expected 32 hex digits and '.dir', found {pointer.md5!r}")
    return pointer


def write_pointer(root: Path, name: str, pointer: Pointer) -> None:
    """Make the workspace's .dvc file say this; keys that DVC or a person added beside them stay."""
    import yaml

    path = pointer_path(root, name)
    empty: dict[str, Any] = {"outs": [{"hash": "md5"}]}
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else empty
    content["outs"][0] |= {"md5": pointer.md5, "size": pointer.bytes, "nfiles": pointer.files, "path": name}
    write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), path)
