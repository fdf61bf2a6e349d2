"""Zip files from untrusted sources: every entry of the directory is checked first, and nothing is extracted to disk."""

from __future__ import annotations

import contextlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, cast

from pipeline.data.layout import is_hidden
from pipeline.errors import DataError, one_line
from pipeline.images.formats import HEAD
from pipeline.phrases import counted
from pipeline.sources.members import Capped, Member, check_count, check_member

ZIPS = (".zip",)

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a bound on the memory of a step
_MAX_RATIO = 100  # unpacked over packed; encoded images hardly shrink
_RATIO_FROM = 1024**3  # bytes unpacked; smaller archives may shrink as much as they like
_LOCAL_HEADER = 30  # bytes, without its names
_UTF8 = 0x800
_ENCRYPTED = 0x1

_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError)


def zip_members(zip_file: Path) -> Iterator[Member]:
    """Each file, sorted by path.

    Raises:
        DataError: it is not a zip, or damaged; or a member, which is named, has an absolute path or one with `..`, is a
            link or another special file, is encrypted, packed in an unusual way or too large; or there are too many, or
            together they unpack to far more than the zip holds.
    """
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(zip_file.open("rb"))
        except OSError as error:
            raise DataError(f"{zip_file}: cannot be read: {error.strerror or error}") from None
        try:
            archive = stack.enter_context(zipfile.ZipFile(cast(IO[bytes], Capped(stream))))
        except _DAMAGE as error:
            raise DataError(f"{zip_file}: damaged, or not a zip: {_text(error)}") from None
        check_count(zip_file, len(archive.infolist()))
        named = sorted(((_name(info), info) for info in archive.infolist()), key=lambda pair: pair[0])
        wanted = [(name, info) for name, info in named if _checked(zip_file, name, info)]
        _check_sizes(zip_file, archive.infolist())
        for name, info in wanted:
            yield _member(zip_file, archive, name, info)


def _name(info: zipfile.ZipInfo) -> str:
    """The name with '/' between folders; some Windows tools write '\\', which the format does not allow."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:  # read as cp437; macOS writes UTF-8 and does not say so
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _checked(zip_file: Path, name: str, info: zipfile.ZipInfo) -> bool:
    where = f"{zip_file}: member {name!r}"
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the tool stored no mode
    file = check_member(where, name, info.file_size, special=kind not in (0, stat.S_IFREG, stat.S_IFDIR))
    read = file and not any(map(is_hidden, PurePosixPath(name).parts))
    if read and info.flag_bits & _ENCRYPTED:
        raise DataError(f"{where}: encrypted; unpack the zip with its password, and add the folder")
    if read and info.compress_type not in _METHODS:
        method = zipfile.compressor_names.get(info.compress_type, str(info.compress_type))  # type: ignore[attr-defined]
        raise DataError(f"{where}: packed by {method}; expected deflate, so unpack the zip and add the folder")
    return file


def _check_sizes(zip_file: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse members that share bytes, and a zip that unpacks to many times its size."""
    end, last = 0, ""
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise DataError(f"{zip_file}: members {last!r} and {info.orig_filename!r} overlap; such a zip is a trap")
        end, last = info.header_offset + _LOCAL_HEADER + info.compress_size, info.orig_filename
    packed, unpacked = zip_file.stat().st_size, sum(info.file_size for info in infos)
    if unpacked > max(_RATIO_FROM, _MAX_RATIO * packed):
        raise DataError(
            f"{zip_file}: {counted(len(infos), 'member')} unpack to {unpacked:,} bytes, more than {_MAX_RATIO} times "
            "the zip's size, as images do not; unpack it yourself if you trust it, and add the folder"
        )


def _member(zip_file: Path, archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Member:
    def first(size: int) -> bytes:
        try:
            with archive.open(info) as file:  # a stream on the member's bytes, checked against its CRC; writes nothing
                content = file.read(size)
            if len(content) != size:
                raise EOFError("ends early")
        except _DAMAGE as error:
            raise DataError(f"{zip_file}: member {name!r}: damaged: {_text(error)}") from None
        return content

    size = info.file_size  # no more is unpacked, whatever the packed bytes hold
    return Member(PurePosixPath(name), size, lambda: first(min(size, HEAD)), lambda: first(size))


def _text(error: BaseException) -> str:
    return one_line(error)[:200]
