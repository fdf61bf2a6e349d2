"""Tar files from untrusted sources, read as streams: every member is checked, and nothing is extracted to disk."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from pipeline.data.layout import is_hidden
from pipeline.errors import DataError
from pipeline.sources.paths import path_problem

SHARDS = (".tar", ".tar.gz", ".tgz")
MAX_MEMBER = 256 * 1024**2
"""Bytes of one member: an encoded image is far smaller, and the whole of it is held in memory."""

MAX_MEMBERS = 10_000_000

Read = Callable[[], bytes]


def is_shard(path: Path) -> bool:
    """Whether a file's name is that of a tar."""
    return path.name.lower().endswith(SHARDS) and not path.name.startswith(".")


def members(shard: Path) -> Iterator[tuple[PurePosixPath, int, Read]]:
    """(path, bytes, how to read it) of each file that is not hidden, in order; read it before the next one is taken.

    Raises:
        DataError: it is not a tar, or damaged; or a member, which is named, has an absolute path or one with `..`, is a
            link or a device, or is too large; or there are too many.
    """
    stream = _open(shard)
    try:
        with tarfile.open(fileobj=cast(IO[bytes], _Capped(stream)), mode="r:") as tar:
            count = 0
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # otherwise it keeps every header, gigabytes for millions
                count += 1
                if count > MAX_MEMBERS:
                    raise DataError(f"{shard}: more than {MAX_MEMBERS:,} members; split the shard")
                if _checked(shard, member):
                    yield PurePosixPath(member.name), member.size, _reader(shard, tar, member)
            stream.seek(tar.offset)  # where tarfile stopped; it takes a cut header for the end
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end-of-archive mark, so a part is missing")
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{shard}: damaged, or not a tar: {' '.join(str(error).split())[:200]}") from None
    finally:
        stream.close()


def _checked(shard: Path, member: tarfile.TarInfo) -> bool:
    where = f"{shard}: member {member.name!r}"
    name = member.name.removeprefix("./")
    problem = path_problem(name) if name not in ("", ".") else ""
    if problem:
        raise DataError(f"{where}: {problem}")
    if member.isdir():
        return False
    if not member.isreg():
        raise DataError(f"{where}: a link, a device or another special file; expected files and folders only")
    if member.size > MAX_MEMBER:
        raise DataError(f"{where}: {member.size:,} bytes, more than {MAX_MEMBER:,}")
    return not any(is_hidden(part) for part in PurePosixPath(name).parts)


def _reader(shard: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Read:
    def read() -> bytes:
        file = tar.extractfile(member)  # a stream on the member's bytes; writes nothing
        content = file.read() if file else b""
        if len(content) != member.size:
            raise DataError(f"{shard}: member {member.name!r}: ends early; the shard is damaged")
        return content

    return read


class _Capped:
    """A stream that refuses reads larger than a member may be: a header can claim any size for a name that follows."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MAX_MEMBER + tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _open(shard: Path) -> IO[bytes]:
    try:
        if shard.name.lower().endswith(".tar"):
            return shard.open("rb")
        return cast(IO[bytes], gzip.open(shard))
    except OSError as error:
        raise DataError(f"{shard}: cannot be read: {error.strerror or error}") from None
