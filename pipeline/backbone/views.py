"""The released training transform as a pure function of the image's content: random resized crop and flip.

Every random number comes from (view seed, view number, image hash), so a view is the same on every machine, in every
order and with any number of threads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pipeline.images import centre_square

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MIN_AREA = 0.08
"""Smallest share of the image's area that a crop takes (released code of Zhu et al., "CRoFT", ICML 2024)."""
RATIO = (3 / 4, 4 / 3)
"""Width over height of a crop before it is resized to a square."""
CLEAN = -1
"""The view number of the clean view; augmented views count from 0."""
_TRIES = 10


class Views(NamedTuple):
    """How the views of an image are made: everything that decides their pixels but the image.

    `size`: side, pixels. `seed`: any integer. `flip`, `min_area`: as in `augmented_view`.
    """

    size: int
    seed: int
    flip: bool = True
    min_area: float = MIN_AREA

    def pixels(self, image: Image, sha256: str, view: int) -> np.ndarray:
        """(size, size, 3) uint8: one view of an RGB image whose file has this hash."""
        if view == CLEAN:
            return centre_square(image, self.size)
        rng = view_generator(self.seed, view, sha256)
        return augmented_view(image, self.size, rng, flip=self.flip, min_area=self.min_area)

    def key(self, sha256: str, view: int) -> str:
        """What names this view of this image in the embedding store."""
        if view == CLEAN:
            return f"{sha256} shorter side and centre crop {self.size} bicubic"
        crop = f"random crop {self.min_area:.6g} {RATIO} {self.size} bicubic flip={self.flip}"
        return f"{sha256} {crop} seed={self.seed} view={view}"


def view_generator(view_seed: int, view: int, sha256: str) -> np.random.Generator:
    """The source of one view's random numbers; `sha256` is that of the image file, 64 hex digits."""
    import numpy as np

    return np.random.default_rng([view_seed % 2**64, view, int(sha256, 16)])


def crop_box(
    width: int, height: int, rng: np.random.Generator, *, min_area: float = MIN_AREA
) -> tuple[int, int, int, int]:
    """Draw a crop as torchvision's RandomResizedCrop does.

    Args:
        width, height: of the image, pixels.
        rng: where the numbers come from.
        min_area: smallest share of the image's area, in (0, 1]; shares are uniform from there to 1.
    Returns:
        (left, top, width, height) of a box inside the image, pixels.
    """
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for _ in range(_TRIES):
        area = width * height * rng.uniform(min_area, 1.0)
        ratio = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = int(rng.integers(0, height - h + 1))
            left = int(rng.integers(0, width - w + 1))
            return left, top, w, h
    # no box fits a very long image: the largest centred one of an allowed shape
    ratio = min(max(width / height, RATIO[0]), RATIO[1])
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    return (width - w) // 2, (height - h) // 2, w, h


def augmented_view(
    image: Image, size: int, rng: np.random.Generator, *, flip: bool = True, min_area: float = MIN_AREA
) -> np.ndarray:
    """One training view: a random crop resized to a square by bicubic filtering, mirrored every second time.

    Args:
        image: RGB.
        size: side of the view, pixels.
        rng: of `view_generator`.
        flip: whether views may be mirrored; off where left and right matter, as in writing.
        min_area: smallest share of the image's area that a crop takes; larger where a part says little, as in writing.
    Returns:
        (size, size, 3) uint8.
    """
    import numpy as np
    from PIL import Image as Pillow

    left, top, width, height = crop_box(*image.size, rng, min_area=min_area)
    mirrored = bool(rng.random() < 0.5)  # drawn in any case, so that `flip` changes no crop
    view = image.crop((left, top, left + width, top + height)).resize((size, size), Pillow.Resampling.BICUBIC)
    if flip and mirrored:
        view = view.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(view, dtype=np.uint8)
