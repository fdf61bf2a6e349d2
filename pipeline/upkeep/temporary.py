"""Files that are written beside their target and renamed: what killed processes left of them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.versioning.names import FOLDER

AGE = 24 * 3600.0
"""Seconds since the last change, after which a temporary file belongs to nobody."""

_PLACES = (Path("artifacts"), Path(".croft"), FOLDER)
_APART = ("mlartifacts", "embeddings", "checkouts", "reproductions", "prefect")  # of .croft, with files of their own
_NAMES = re.compile(r"\..+\.\w{8}\.tmp(\.\w+)*|\.writable\.\w+|\.download-\w+|\.croft-\w+")


def find_temporary(root: Path, *, now: float | None = None) -> list[Path]:
    """Temporary files and folders of this project that have not changed for `AGE`.

    Args:
        root: the project.
        now: epoch seconds; the clock's by default.
    """
    return sorted(path for place in _PLACES for path in _below(root / place) if is_old(path, now=now))


def is_old(path: Path, *, now: float | None = None) -> bool:
    """Whether neither a file or folder nor anything in it has changed for `AGE`."""
    return _changed(path) < (time.time() if now is None else now) - AGE


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):  # follows no link
        here = Path(parent)
        for name in [*folders, *files]:
            if _NAMES.fullmatch(name):
                yield here / name
        apart = _APART if here.name == ".croft" else ()
        folders[:] = [name for name in folders if name not in apart and not _NAMES.fullmatch(name)]


def _changed(path: Path) -> float:
    """When a file, or anything in a folder, was last changed; now for what has gone meanwhile."""
    try:
        times = [path.lstat().st_mtime]
        times += [item.lstat().st_mtime for item in path.rglob("*")] if path.is_dir() and not path.is_symlink() else []
    except OSError:
        return time.time()
    return max(times)
