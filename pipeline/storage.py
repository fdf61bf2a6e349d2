"""A place that cannot be written to: what the system or a library says, as one line that says what to mend."""

from __future__ import annotations

import errno
import getpass
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_FULL, _QUOTA, _READ_ONLY, _DENIED, _LIMIT, _CLOSED = "full", "quota", "read-only", "denied", "limit", "closed"
_NUMBERS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _QUOTA,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EFBIG: _LIMIT,
}
# SQLite, LMDB, safetensors, Arrow and shutil pass on words, not the number.
_WORDS = (
    (_FULL, re.compile(r"no space left on device|database or disk is full", re.IGNORECASE)),
    (_QUOTA, re.compile(r"disk quota exceeded", re.IGNORECASE)),
    (_READ_ONLY, re.compile(r"read-only file system|readonly database", re.IGNORECASE)),
    (_LIMIT, re.compile(r"\[errno 27\]|os error 27\b", re.IGNORECASE)),
    (_CLOSED, re.compile(r"unable to open database file", re.IGNORECASE)),
)
_FILE = re.compile(r"\[Errno \d+\] [^:]*: (?:'[^']*' -> )?'([^']+)'")
_SMALL = 16 * 2**20  # bytes; a disk with less is taken for the full one where the error names no file


def explain(error: BaseException, place: Path | None = None) -> str:
    """One line for an error that means "cannot write there", else "".

    Args:
        error: looked at with its causes; an `OSError` is judged by its number, others by the words of their message.
        place: what was being written, where the error does not say.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _NUMBERS:
            # Of a copy or a move, the second file is the one that was being written.
            return _line(_NUMBERS[cause.errno], str(cause.filename2 or cause.filename or place or ""))
        for text, target in _sayings(cause):
            if line := explain_text(text, target or place):
                return line
    return ""


def explain_text(text: str, place: Path | None = None) -> str:
    """The same for what another program has printed."""
    for kind, words in _WORDS:
        if words.search(text):
            named = _FILE.search(text)
            return _line(kind, named[1] if named else str(place or ""))
    return ""


def check_writable(folder: Path) -> None:
    """Write a small file into a folder, which is created if it is missing, and remove the file.

    Raises:
        OSError: that cannot be done; `explain` says what to mend.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".writable.")
    except OSError as error:
        error.filename = str(folder)
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(bytes(4096))
    finally:
        Path(name).unlink(missing_ok=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _sayings(error: BaseException) -> list[tuple[str, Path | None]]:
    """Messages, each with the file that was being written; `shutil.copytree` collects (source, target, reason)."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return [(str(reason).partition(":")[0], Path(str(target))) for _, target, reason in error.args[0]]
    return [(str(error), None)]


def _line(kind: str, where: str) -> str:
    if kind in (_FULL, _QUOTA):
        where = where or _fullest()
        what = f"no space left{_free(where)}" if kind == _FULL else "your disk quota is used up"
        return f"{where}: {what}; free some space there, then run this again"
    where = where or str(Path.cwd())
    if kind == _LIMIT:
        return f"{where}: larger than a file of this process may be; raise the limit (`ulimit -f`), then run this again"
    reason = {
        _READ_ONLY: "its file system is mounted read-only",
        _DENIED: f"permission denied for user {_user()}",
        _CLOSED: "it cannot be opened or created",
    }[kind]
    return f"{where}: {reason}; make it writable, then run this again"


def _fullest() -> str:
    """Of the disks that a run writes to, the one with least space, if that is little; else the project's."""
    places = [str(Path.cwd()), tempfile.gettempdir()]
    free = {place: shutil.disk_usage(place).free for place in places}
    least = min(places, key=free.__getitem__)
    return least if free[least] < _SMALL else places[0]


def _free(where: str) -> str:
    folder = Path(where)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return f" ({shutil.disk_usage(folder).free / 2**20:,.1f} MB free)"
    except OSError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in a container
        return str(os.getuid())
