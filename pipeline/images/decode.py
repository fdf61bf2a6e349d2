"""Decode untrusted images, with numpy and Pillow only."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import DataError, one_line
from pipeline.images import jpeg, png
from pipeline.images.formats import FORMATS, HEAD, SHOWN, format_of, row

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_ASPECT = 100
"""Longer side over shorter side; a longer strip becomes huge once its shorter side is enlarged."""

NO_END = "lacks its end marker"
"""The defect of a JPEG that is whole but for its last two bytes."""


class Decoded(NamedTuple):
    """One image, decoded.

    Attributes:
        rgb: 8-bit RGB: EXIF rotation applied, transparency over white, 16-bit scaled, first frame only.
        mode: Pillow's colour mode, as stored.
        format: one of FORMATS.
        defect: what is wrong with the file although its whole picture could be read; "" for nothing.
    """

    rgb: Image
    mode: str
    format: str
    defect: str


def open_rgb(source: Path | bytes, *, max_pixels: int, name: str = "") -> Image:
    """The pixels of `decode` alone."""
    return decode(source, max_pixels=max_pixels, name=name).rgb


def decode(source: Path | bytes, *, max_pixels: int, name: str = "") -> Decoded:
    """Decode one image.

    Args:
        source: a file, or an encoded image's bytes.
        max_pixels: width x height above which nothing is decoded.
        name: in errors; the path by default.
    Raises:
        DataError: the source is not an image of a known format, is damaged, has more pixels than allowed, or has
            floating-point pixels; or its format needs a decoder that is not installed.
    """
    name = name or (str(source) if isinstance(source, Path) else "image")
    content = source if isinstance(source, bytes) else _read(source)
    if content.startswith(png.MAGIC):
        content = png.without_metadata(content)
    try:
        return _decode(content, max_pixels, name)
    except DataError as error:
        if (whole := _without_end(content, max_pixels, name)) is not None:
            return whole
        raise error from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _decode(content: bytes, max_pixels: int, name: str) -> Decoded:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content), formats=readable()) as image:
            check_size(image, max_pixels=max_pixels, name=name)
            if image.mode == "F":
                raise DataError(f"{name}: floating-point pixels without a known white; save it with 8 or 16 bits")
            mode, format_ = image.mode, _format(image)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return Decoded(to_rgb(image), mode, format_, NO_END if jpeg.has_no_end(content) else "")
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))  # Pillow has its own limit
        raise DataError(f"{name}: more than {limit} pixels; see data.max_pixels") from None
    except Exception as error:  # decoders raise anything, from SyntaxError to struct.error, on damaged bytes
        raise DataError(f"{name}: {_problem(content, error)}") from None


def _without_end(content: bytes, max_pixels: int, name: str) -> Decoded | None:
    """A JPEG that lacks its end marker and nothing else; None for any other file."""
    if not jpeg.may_lack_end(content):
        return None
    first: Decoded | None = None
    for completed in jpeg.completions(content):
        try:
            decoded = _decode(completed, max_pixels, name)
        except DataError:
            return None
        if first is not None and decoded.rgb.tobytes() != first.rgb.tobytes():
            return None
        first = first or decoded
    return first._replace(defect=NO_END) if first else None


def _problem(content: bytes, error: Exception) -> str:
    from PIL import UnidentifiedImageError

    format_ = format_of(content[:HEAD])
    if not format_:
        return f"not an image of a known format ({SHOWN})"
    if format_ not in readable():
        return missing_decoder(format_)
    # Pillow's own sentence would name an object in memory.
    return damaged(ValueError(f"not readable as {format_}") if isinstance(error, UnidentifiedImageError) else error)


def missing_decoder(format_: str) -> str:
    """The problem of an image whose format this installation does not decode, and what to install."""
    return f"{row(format_).shown} image, which needs {row(format_).needs}"


@functools.cache
def readable() -> tuple[str, ...]:
    """Those of FORMATS that this installation decodes."""
    from PIL import features

    missing = set() if features.check("avif") else {"AVIF"}
    try:
        import pillow_heif
    except ImportError:
        missing.add("HEIF")
    else:
        pillow_heif.register_heif_opener()
    return tuple(name for name in FORMATS if name not in missing)


def check_whole(content: bytes, *, name: str) -> None:
    """Refuse a PNG that ends early or has a wrong checksum, even if all of its pixels can be read.

    Args:
        content: what `decode` decodes; of another format than PNG, nothing happens.
        name: in errors.
    Raises:
        DataError: see above.
    """
    from PIL import Image

    if not content.startswith(png.MAGIC):
        return
    try:
        with Image.open(io.BytesIO(png.without_metadata(content)), formats=("PNG",)) as image:
            image.verify()
    except Exception as error:  # from SyntaxError to OSError
        raise DataError(f"{name}: {damaged(error)}") from None


def damaged(error: Exception) -> str:
    """What a decoder's error says, in one line."""
    return f"damaged image: {one_line(error)}"


def _format(image: Image) -> str:
    # A JPEG with further pictures in it (stereo, a phone's preview) is still a JPEG.
    return "JPEG" if image.format == "MPO" else str(image.format)


def check_size(image: Image, *, max_pixels: int, name: str) -> None:
    """Refuse an image that would cost too much memory, now or once it is resized.

    Raises:
        DataError: it has too many pixels, or is a strip longer than MAX_ASPECT times its width.
    """
    size = f"{name}: {image.width} x {image.height} pixels"
    if image.width * image.height > max_pixels:
        raise DataError(f"{size}, more than data.max_pixels ({max_pixels})")
    if max(image.size) > MAX_ASPECT * min(image.size):
        raise DataError(f"{size}, a strip longer than {MAX_ASPECT} times its width")


def check_side(image: Image, *, min_side: int, name: str) -> None:
    """Refuse an image that is too small to train on.

    Raises:
        DataError: its shorter side is below min_side pixels.
    """
    if min(image.size) < min_side:
        raise DataError(f"{name}: {image.width} x {image.height} pixels, less than data.min_side ({min_side})")


def to_rgb(image: Image) -> Image:
    """8-bit RGB of a decoded image: transparency over white, 16-bit scaled."""
    from PIL import Image

    if image.mode.startswith("I;16") or image.mode == "I":
        import numpy as np

        wide = np.asarray(image).astype(np.float64)
        image = Image.fromarray((wide / 257.0).round().clip(0, 255).astype(np.uint8))
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")
