"""Tar files from untrusted sources, read as streams: every member is checked, and nothing is extracted to disk."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from pipeline.errors import DataError
from pipeline.sources.members import Capped, Read, check_count, check_member

TARS = (".tar", ".tar.gz", ".tgz")


def tar_members(tar_file: Path) -> Iterator[tuple[PurePosixPath, int, Read]]:
    """(path, bytes, how to read it) of each file that is not hidden, in order; read it before the next one is taken.

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
                    yield PurePosixPath(member.name), member.size, _reader(tar_file, tar, member)
            stream.seek(tar.offset)  # where tarfile stopped; it takes a cut header for the end
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end-of-archive mark, so a part is missing")
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{tar_file}: damaged, or not a tar: {' '.join(str(error).split())[:200]}") from None
    finally:
        stream.close()


def _reader(tar_file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Read:
    def read() -> bytes:
        file = tar.extractfile(member)  # a stream on the member's bytes; writes nothing
        content = file.read() if file else b""
        if len(content) != member.size:
            raise DataError(f"{tar_file}: member {member.name!r}: ends early; the tar is damaged")
        return content

    return read


def _open(tar_file: Path) -> IO[bytes]:
    try:
        if tar_file.name.lower().endswith(".tar"):
            return tar_file.open("rb")
        return cast(IO[bytes], gzip.open(tar_file))
    except OSError as error:
        raise DataError(f"{tar_file}: cannot be read: {error.strerror or error}") from None
