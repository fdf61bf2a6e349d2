"""Text files that are not UTF-8: what they look like, and the command that converts them."""

from __future__ import annotations

import codecs
import shlex
from pathlib import Path

from pipeline.errors import DataError

_HEAD = 4096  # bytes, which a mark or the zeros of UTF-16 are looked for in
_SHOWN = 60  # characters of a line
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # begins as UTF-16 does, so it comes first
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def check_utf8(path: Path) -> None:
    """Refuse what is UTF-16 or UTF-32 by its first bytes: without its mark it may still decode as UTF-8.

    Raises:
        DataError: as `not_utf8`.
    """
    if _wide(path):
        raise not_utf8(path)


def not_utf8(path: Path) -> DataError:
    """The error for a file that cannot be decoded as UTF-8: where, what it looks like, and how to convert it."""
    wide = _wide(path)
    if wide:
        return DataError(f"{path}: not UTF-8; it looks like {wide}, as Windows saves 'Unicode'; {_convert(path, wide)}")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return _odd_line(path, number, line)
    return DataError(f"{path}: not UTF-8; save it as UTF-8")


def _odd_line(path: Path, number: int, line: bytes) -> DataError:
    where = f"{path}: line {number}: not UTF-8"
    try:
        text = line.decode("cp1252").strip()
    except UnicodeDecodeError:
        return DataError(f"{where}, nor Windows-1252; save it as UTF-8 where it was made")
    return DataError(
        f"{where}; it looks like Windows-1252 (cp1252), in which the line reads {text[:_SHOWN]!r}; if that is right, "
        f"{_convert(path, 'CP1252')}"
    )


def _wide(path: Path) -> str:
    """The name of the encoding, as iconv knows it; "" for one whose characters begin with single bytes."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "")
    if marked or head.count(0) < len(head) / 4:  # nearly every other byte of Latin text is 0; of an image, few are
        return marked
    return "UTF-16LE" if head[1::2].count(0) > head[::2].count(0) else "UTF-16BE"


def _convert(path: Path, encoding: str) -> str:
    converted = path.with_name(f"{path.stem}-utf8{path.suffix}")
    return f"convert it: iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))} > {shlex.quote(str(converted))}"
