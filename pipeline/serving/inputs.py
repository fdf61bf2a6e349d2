"""One image of a request, in any of the forms that `Predictor` takes, as the pixels that the graph takes."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.images import centre_square, check_size, damaged, open_rgb, to_rgb

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

EXPECTED = "expected bytes, a path, a Pillow image or an array"
_SHAPES = "expected uint8 of shape (height, width), (height, width, 3) or (height, width, 4), in the order RGB"


def pixels_of(image: Any, *, size: int, name: str, max_bytes: int, max_pixels: int) -> np.ndarray:
    """Decode one image and cut it to the graph's square.

    Args:
        image: encoded bytes, a path, a Pillow image, or an array: (H, W), (H, W, 3) or (H, W, 4) uint8.
        size: side of the square in pixels.
        name: in errors; a path names itself.
        max_bytes, max_pixels: of an encoded and of a decoded image.
    Returns:
        (size, size, 3) uint8.
    Raises:
        DataError: the image is damaged, too large, of an unknown format or of another type.
    """
    import numpy as np
    from PIL import Image

    if isinstance(image, bytes | bytearray | memoryview | str | os.PathLike):
        return centre_square(_decoded(image, name, max_bytes, max_pixels), size)
    if isinstance(image, np.ndarray):
        image = _from_array(image, name)
    if not isinstance(image, Image.Image):
        raise DataError(f"{name}: {EXPECTED}, found {type(image).__name__}")
    return centre_square(_upright(image, name, max_pixels), size)


def _decoded(image: Any, name: str, max_bytes: int, max_pixels: int) -> Image:
    if isinstance(image, str | os.PathLike):
        image = Path(os.fsdecode(image))
        name, count = str(image), _file_bytes(image)
    else:
        image = bytes(image)
        count = len(image)
    if count > max_bytes:
        raise DataError(f"{name}: {count} bytes, more than the allowed {max_bytes}")
    return open_rgb(image, max_pixels=max_pixels, name=name)


def _upright(image: Image, name: str, max_pixels: int) -> Image:
    from PIL import ImageOps

    check_size(image, max_pixels=max_pixels, name=name)
    try:
        return to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # a lazily opened file is decoded here, and decoders raise anything
        raise DataError(f"{name}: {damaged(error)}") from None


def _from_array(array: np.ndarray, name: str) -> Image:
    import numpy as np
    from PIL import Image

    shape = array.shape
    if array.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (3,), (4,)) or 0 in shape:
        raise DataError(f"{name}: an array of {array.dtype} of shape {shape}; {_SHAPES}")
    return Image.fromarray(np.ascontiguousarray(array))


def _file_bytes(path: Path) -> int:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null byte
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise DataError(f"{path}: {reason}") from None
    if not stat.S_ISREG(status.st_mode):  # a pipe would keep the reader waiting for ever
        raise DataError(f"{path}: not a file")
    return status.st_size
