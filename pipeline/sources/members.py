"""What a member of an archive may be: limits and checks that tars and zips share. Nothing is extracted to disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, NamedTuple

from pipeline.data.layout import is_hidden
from pipeline.errors import DataError
from pipeline.images.formats import is_image_content
from pipeline.sources.paths import path_problem

MAX_MEMBER = 256 * 1024**2
"""Bytes of one member: an encoded image is far smaller, and the whole of it is held in memory."""

MAX_MEMBERS = 10_000_000

_SLACK = 512  # bytes: a tar's header beside its member

Read = Callable[[], bytes]


class Member(NamedTuple):
    """A file of an archive; read it before the next one is taken.

    Attributes:
        path: in the archive.
        size: its bytes, unpacked.
        head: reads the first HEAD of them.
        read: reads all of them.
    """

    path: PurePosixPath
    size: int
    head: Read
    read: Read

    @property
    def hidden(self) -> PurePosixPath | None:
        """What is passed over: the file itself, or the topmost folder above it that is hidden; None for neither."""
        return next((place for place in reversed([self.path, *self.path.parents]) if is_hidden(place.name)), None)

    @property
    def is_image(self) -> bool:
        """Whether it is taken for an image: by its ending, or else by its first bytes.

        Raises:
            DataError: those are damaged.
        """
        return is_image_content(self.path.name, self.head)


def check_member(where: str, name: str, size: int, *, special: bool) -> bool:
    """Refuse a member that could do harm.

    Args:
        where: the archive and member, for the error.
        name: as stored, with '/' between folders; that of a folder may end with one.
        size: unpacked bytes, as the archive states them.
        special: neither a file nor a folder.
    Returns:
        Whether it is a file.
    Raises:
        DataError: an absolute path or one with `..`, a link or a device, or too large.
    """
    folder = name.endswith("/") or name in ("", ".")
    name = name.removeprefix("./").rstrip("/")
    problem = path_problem(name) if name not in ("", ".") else ""
    if problem:
        raise DataError(f"{where}: {problem}")
    if special:
        raise DataError(f"{where}: a link, a device or another special file; expected files and folders only")
    if size > MAX_MEMBER:
        raise DataError(f"{where}: {size:,} bytes, more than {MAX_MEMBER:,}")
    return not folder


def check_count(archive: object, count: int) -> None:
    """Refuse an archive of too many members.

    Raises:
        DataError: `count` is above MAX_MEMBERS.
    """
    if count > MAX_MEMBERS:
        raise DataError(f"{archive}: more than {MAX_MEMBERS:,} members; split it")


class Capped:
    """A stream that refuses reads larger than a member may be: a header can claim any size for what follows.

    Raises:
        ValueError: in `read`, which the readers of archives report as damage.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        most = MAX_MEMBER + _SLACK
        content = b"" if size > most else self._stream.read(most + 1 if size < 0 else size)
        if size > most or len(content) > most:
            raise ValueError(f"a header of {max(size, len(content)):,} bytes")
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True
