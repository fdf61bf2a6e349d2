"""The clean view of an image: resized and cut for the encoder, with numpy and Pillow only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


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
