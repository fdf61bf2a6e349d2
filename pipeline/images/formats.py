"""The one table of image formats: how a file of each is called and begins. Whatever takes images asks here."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Format(NamedTuple):
    """A format whose pixels can be used.

    Attributes:
        name: Pillow's.
        shown: in messages, with its article.
        suffixes: how files usually end, in small letters; a file counts by its first bytes, whatever its ending.
        needs: what to install where its decoder is missing; "" for what every Pillow decodes.
    """

    name: str
    shown: str
    suffixes: tuple[str, ...]
    needs: str = ""


TABLE = (
    Format("JPEG", "a JPEG", (".jpg", ".jpeg", ".jpe", ".jfif")),
    Format("PNG", "a PNG", (".png",)),
    Format("BMP", "a BMP", (".bmp",)),
    Format("WEBP", "a WebP", (".webp",)),
    Format("TIFF", "a TIFF", (".tif", ".tiff")),
    Format("GIF", "a GIF", (".gif",)),
    Format("AVIF", "an AVIF", (".avif",), "a Pillow with AVIF (`pip install --upgrade pillow`)"),
    Format("HEIF", "a HEIC", (".heic", ".heif", ".hif"), "the extra `heic` (`pip install pillow-heif`)"),
)
"""Formats with decoders that are widely used and reviewed; Pillow has others, which are never tried."""

FORMATS = tuple(entry.name for entry in TABLE)
SUFFIXES = tuple(suffix for entry in TABLE for suffix in entry.suffixes)
COMMON_SUFFIXES = tuple(suffix for entry in TABLE if not entry.needs for suffix in entry.suffixes)
"""Of the formats that every Pillow decodes."""

SHOWN = ", ".join(entry.shown.split()[-1] for entry in TABLE)
"""The formats as a message lists them."""

HEAD = 64
"""First bytes of a file that `format_of` needs."""

_RAW = (".arw", ".cr2", ".dng", ".nef", ".nrw", ".orf", ".pef", ".rw2", ".srw")
"""Raw files of cameras. They begin like a TIFF, whose pixels are a thumbnail."""

_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})  # bytes that the second header of a BMP may have
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})


def format_of(head: bytes) -> str:
    """Pillow's name of the format that a file's first HEAD bytes are of, one of FORMATS; "" for any other file."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return _boxed(head) if head[4:8] == b"ftyp" else ""


def _boxed(head: bytes) -> str:
    """The format of a file of ISO's boxes (14496-12), by its main brand and those it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, end - 3, 4))}
    return "AVIF" if brands & _AVIF_BRANDS else "HEIF" if brands & _HEIF_BRANDS else ""


def is_image(path: Path) -> bool:
    """Whether a file is taken for an image: by its ending, or else by its first bytes.

    A file that cannot be read is taken for one, so that whoever reads it says why it cannot. A pipe or a device without
    an image's ending is not opened.
    """
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        return stat.S_ISREG(path.stat().st_mode) and is_image_content(path.name, lambda: read_head(path))
    except OSError:
        return True


def is_image_content(name: str, head: Callable[[], bytes]) -> bool:
    """As `is_image`, of a file that need not be on disk: its name, and what reads its first HEAD bytes.

    They are read only where the ending does not tell.
    """
    suffix = Path(name).suffix.lower()
    return suffix in SUFFIXES or (suffix not in _RAW and bool(format_of(head())))


def read_head(path: Path) -> bytes:
    """The first HEAD bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(HEAD)


def row(name: str) -> Format:
    """The table's entry of a format in FORMATS."""
    return TABLE[FORMATS.index(name)]
