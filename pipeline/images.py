"""Decode untrusted images and resize them for the encoder, with numpy and Pillow only.

Training features and production predictions share this code, so that both see the same pixels.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")
"""Pillow formats that are tried; others have decoders that are rarely used and rarely reviewed."""

MAX_ASPECT = 100
"""Longer side over shorter side; a longer strip becomes huge once its shorter side is enlarged."""


def open_rgb(source: Path | bytes, *, max_pixels: int, name: str = "") -> Image:
    """Decode one image as 8-bit RGB: EXIF rotation applied, transparency over white, 16-bit scaled, first frame only.

    Args:
        source: a file, or an encoded image's bytes.
        max_pixels: width x height above which nothing is decoded.
        name: in errors; the path by default.
    Raises:
        DataError: the source is not an image of a known format, is damaged, has more pixels than allowed, or has
            floating-point pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = name or (str(source) if isinstance(source, Path) else "image")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            check_size(image, max_pixels=max_pixels, name=name)
            if image.mode == "F":
                raise DataError(f"{name}: floating-point pixels without a known white; save it with 8 or 16 bits")
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{name}: not an image of a known format ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))  # Pillow has its own limit
        raise DataError(f"{name}: more than {limit} pixels; see data.max_pixels") from None
    except FileNotFoundError:
        raise DataError(f"{name}: no such file") from None
    except Exception as error:  # decoders raise anything, from SyntaxError to struct.error, on damaged bytes
        raise DataError(f"{name}: damaged image: {' '.join(str(error).split()) or type(error).__name__}") from None


def stored_as(content: bytes, *, name: str) -> tuple[str, str]:
    """Colour mode and format of an encoded image, as stored; the pixels are not decoded.

    Args:
        content: what `open_rgb` decodes.
        name: in errors.
    Returns:
        Pillow's mode, and one of FORMATS.
    Raises:
        DataError: a PNG ends early or has a wrong checksum, even if all of its pixels can be read.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        mode = image.mode
        # A JPEG with further pictures in it (stereo, a phone's preview) is still a JPEG.
        format_ = "JPEG" if image.format == "MPO" else str(image.format)
        try:
            image.verify()
        except Exception as error:  # from SyntaxError to OSError
            raise DataError(f"{name}: damaged image: {' '.join(str(error).split())}") from None
    return mode, format_


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


def centre_square(image: Image, size: int) -> np.ndarray:
    """Shorter side to `size` by bicubic filtering, then the centre square: CLIP's clean view.

    The same pixels as torchvision's `Resize(size, BICUBIC)` and `CenterCrop(size)` on a Pillow image.

    Args:
        image: RGB.
        size: side in pixels.
    Returns:
        (size, size, 3) uint8.
    """
    import numpy as np
    from PIL import Image

    width, height = image.size
    short, long = min(width, height), max(width, height)
    long = int(size * long / short)
    new = (size, long) if width <= height else (long, size)
    image = image.resize(new, Image.Resampling.BICUBIC)
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)), dtype=np.uint8)
