"""Images copied into a folder for each class, and `unknown`, for looking at."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import DataError
from pipeline.prediction.answers import Answer, text
from pipeline.serving.predictor import UNKNOWN

_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # Windows' names of devices
_MOST = 180  # bytes of a name; a number is added where names meet, and file systems end at 255


class Sorter:
    """Copies images into DIR/class and DIR/unknown; nothing is overwritten, and nothing lies outside DIR.

    Args:
        folder: is made; it may exist if it is empty.
        classes: names of the known classes.
    Attributes:
        copied: how many images.
    Raises:
        DataError: the folder is a file or holds something.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        if not os.path.lexists(folder):
            folder.mkdir(parents=True)
        if not folder.is_dir():
            raise DataError(f"{folder}: not a folder; name a new one for the copies")
        with os.scandir(folder) as entries:
            if next(entries, None) is not None:
                raise DataError(f"{folder}: not empty; name a new folder for the copies, or empty this one")
        self.copied = 0
        self._folders = {name: folder / part for name, part in folder_names([UNKNOWN, *classes]).items()}

    def copy(self, answer: Answer) -> None:
        """Copy one image that has an answer.

        Raises:
            DataError: the image cannot be read any more.
            OSError: the copy cannot be written.
        """
        folder = self._folders[UNKNOWN if answer.unknown else str(answer.class_)]
        try:
            source = open(answer.path, "rb")  # noqa: SIM115
        except OSError as error:
            raise DataError(f"{answer.path}: cannot be copied: {error.strerror}") from None
        with source:
            folder.mkdir(exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=".copy-")
            try:
                with os.fdopen(handle, "wb") as target:
                    shutil.copyfileobj(source, target)
                os.chmod(temporary, 0o644)
                _place(temporary, folder, safe_name(os.path.basename(answer.path)))
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
        self.copied += 1


def folder_names(classes: Sequence[str]) -> dict[str, str]:
    """Class to the name of its folder: safe on every file system, and no two alike but for their case."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for class_ in classes:
        safe = name = safe_name(class_)
        number = 2
        while name.casefold() in taken:
            name = f"{safe}_{number}"
            number += 1
        taken.add(name.casefold())
        names.setdefault(class_, name)
    return names


def safe_name(name: str) -> str:
    """A name without separators, control characters, leading dots, or what Windows refuses; never empty."""
    safe = _UNSAFE.sub("_", text(name)).lstrip(" ").rstrip(" .")
    if safe.startswith("."):
        safe = f"_{safe[1:]}"
    if not safe or _RESERVED.fullmatch(safe):
        safe = f"_{safe}"
    stem, ending = os.path.splitext(safe)
    ending = ending if len(ending.encode()) <= 20 else ""
    room = _MOST - len(ending.encode())
    return safe if len(safe.encode()) <= _MOST else stem.encode()[:room].decode("utf-8", "ignore") + ending


def _place(temporary: str, folder: Path, name: str) -> None:
    """Give the copy its name, or name-1, name-2, ...: the first that is free."""
    number = 0 if not os.path.lexists(folder / name) else _free(folder, name)
    while True:
        target = folder / _numbered(name, number)
        try:
            os.link(temporary, target)  # unlike a rename, it never replaces a file
            return
        except FileExistsError:
            number += 1
        except OSError:  # a file system without hard links
            if not os.path.lexists(target):
                os.rename(temporary, target)
                return
            number += 1


def _free(folder: Path, name: str) -> int:
    """A number that is free, found in a few looks: numbers are given in turn, so those taken come before the free."""
    high = 1
    while os.path.lexists(folder / _numbered(name, high)):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if os.path.lexists(folder / _numbered(name, middle)):
            low = middle
        else:
            high = middle
    return high


def _numbered(name: str, number: int) -> str:
    stem, ending = os.path.splitext(name)
    return f"{stem}-{number}{ending}" if number else name
