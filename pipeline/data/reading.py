"""One image file, read once: hash, perceptual hash, size, and the signature that shows a later change."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.data.phash import perceptual_hash
from pipeline.errors import DataError
from pipeline.images import check_side, check_whole, decode, readable

if TYPE_CHECKING:
    from pipeline.params import Data

_SECOND = 1_000_000_000  # nanoseconds
_TICK = 20_000_000  # of a kernel's clock, which stamps files: 10 ms, doubled
_COARSE_TICK = 2 * _SECOND  # of file systems that stamp whole or even seconds

_BYTES_PER_PIXEL = 8  # RGBA of 16 bits, not compressed
_METADATA = 64 * 2**20  # bytes of a file in addition to its pixels


class Facts(NamedTuple):
    """What is known of an image from its bytes; columns of the manifest, in its units."""

    sha256: str
    phash: str
    width: int
    height: int
    mode: str
    format: str
    bytes: int
    defect: str = ""


def within_limits(facts: Facts, data: Data) -> bool:
    """Whether an image that was accepted under other limits is accepted under those of `data`."""
    return (
        min(facts.width, facts.height) >= data.min_side
        and facts.width * facts.height <= data.max_pixels
        and facts.bytes <= _max_bytes(data)
    )


def _max_bytes(data: Data) -> int:
    """Largest file that an image of `max_pixels` can need."""
    return _BYTES_PER_PIXEL * data.max_pixels + _METADATA


def version() -> str:
    """The versions of what else decides the facts: this code and the decoders."""
    import PIL
    from PIL import features

    names = ("libjpeg_turbo", "jpg", "zlib", "webp", "libtiff", "avif")
    return " ".join(["2", PIL.__version__, *(features.version(name) or "-" for name in names), *readable()])


def signature(status: os.stat_result) -> str:
    """Text that changes whenever the content of a file may have changed.

    Besides size, modification time and inode number it holds the time of the inode's last change, which no program can
    set back: a file that is rewritten in place and given its old modification time is noticed.
    """
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def read_image(path: str, data: Data) -> tuple[Facts, str]:
    """Read, hash and decode one image.

    Args:
        path: of the image, relative to data.root.
        data: section `data` of params: the limits on its size.
    Returns:
        The facts, and the file's signature; "" where a later change might not show in it, because the file changed
        while it was read, or so shortly before that another change could get the same time stamp (git's "racy"
        entries).
    Raises:
        DataError: the file cannot be read, is not an image, or exceeds a limit; the message does not name the path.
    """
    try:
        with (Path(data.root) / path).open("rb") as file:
            before, now = os.fstat(file.fileno()), time.time_ns()
            if before.st_size > _max_bytes(data):
                raise DataError(f"{before.st_size} bytes, more than an image of data.max_pixels needs")
            content = file.read()
            after = os.fstat(file.fileno())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from None
    facts = _facts(content, path, data)
    stable = signature(before) == signature(after) and len(content) == before.st_size and not _racy(before, now)
    return facts, signature(before) if stable else ""


def _facts(content: bytes, path: str, data: Data) -> Facts:
    try:
        image = decode(content, max_pixels=data.max_pixels, name=path)
        check_whole(content, name=path)
        check_side(image.rgb, min_side=data.min_side, name=path)
    except DataError as error:
        raise DataError(str(error).removeprefix(f"{path}: ")) from None
    return Facts(
        sha256=hashlib.sha256(content).hexdigest(),
        phash=perceptual_hash(image.rgb),
        width=image.rgb.width,
        height=image.rgb.height,
        mode=image.mode,
        format=image.format,
        bytes=len(content),
        defect=image.defect,
    )


def _racy(status: os.stat_result, now: int) -> bool:
    stamp = max(status.st_mtime_ns, status.st_ctime_ns)
    return now - stamp < (_TICK if stamp % _SECOND else _COARSE_TICK)
