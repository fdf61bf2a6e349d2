"""Tar files from untrusted sources, read as streams: every member is checked, and nothing is extracted to disk."""

from __future__ import annotations

import functools
import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from pipeline.errors import DataError
from pipeline.images.formats import HEAD
from pipeline.sources.members import Capped, Member, check_count, check_member

TARS = (".tar", ".tar.gz", ".tgz")

_DAMAGE = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError)


def tar_members(tar_file: Path) -> Iterator[Member]:
    """Each file, in order.

    Raises:
        DataError: it is not a tar, or damaged; or a member, which is named, has an absolute path or one with `..`, is a
            link or a device, or is too large; or there are too many.
    """
    stream = _open(tar_file)
    try:
        with tarfile.open(fileobj=cast(IO[bytes], Capped(stream)), mode="r:") as tar:
            count = 0
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # otherwise it keeps every header, gigabytes for millions
                count += 1
                check_count(tar_file, count)
                where, special = f"{tar_file}: member {member.name!r}", not (member.isdir() or member.isreg())
                name = member.name + "/" * member.isdir()
                if check_member(where, name, member.size, special=special):
                    yield _member(tar_file, tar, member)
            stream.seek(tar.offset)  # where tarfile stopped; it takes a cut header for the end
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end-of-archive mark, so a part is missing")
    except _DAMAGE as error:
        raise DataError(f"{tar_file}: damaged, or not a tar: {_text(error)}") from None
    finally:
        stream.close()


def _member(tar_file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Member:
    @functools.cache  # one stream for both, since going back in a .tar.gz unpacks it from its beginning
    def stream() -> io.BufferedReader:
        return cast(io.BufferedReader, tar.extractfile(member))  # on the member's bytes; writes nothing

    def first(size: int, read: Callable[[], bytes]) -> bytes:
        try:
            content = read()[:size]
            if len(content) != size:
                raise EOFError("ends early")
        except _DAMAGE as error:
            raise DataError(f"{tar_file}: member {member.name!r}: damaged: {_text(error)}") from None
        return content

    head, size = min(member.size, HEAD), member.size
    return Member(
        PurePosixPath(member.name),
        size,
        lambda: first(head, lambda: stream().peek(head)),
        lambda: first(size, lambda: stream().read()),
    )


def _text(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _open(tar_file: Path) -> IO[bytes]:
    try:
        if tar_file.name.lower().endswith(".tar"):
            return tar_file.open("rb")
        return cast(IO[bytes], gzip.open(tar_file))
    except OSError as error:
        raise DataError(f"{tar_file}: cannot be read: {error.strerror or error}") from None
