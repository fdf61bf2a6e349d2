"""scikit-learn's handwritten digits, cut once into a part for the data set and a part for the built-in CLIP.

The cut is made here, by a hash of each image's pixels, and nowhere else, so that the model can never be trained on an
image of the data set it is tested on: the two parts are disjoint by construction, identical images included.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Part = Literal["dataset", "pretraining"]
_ONE_IN = 5  # one image in five is held back for the CLIP; the rest leaves >= 34 per class and domain


class Digits(NamedTuple):
    """`images` (N, 8, 8) float32 ink in [0, 1]; `labels` (N,) int64 digits; `indices` (N,) int64 in the source."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]


def is_held_back(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether an image belongs to the CLIP's training, decided by its pixels alone.

    Args:
        pixels: (8, 8) uint8, 0 to 16.
    Returns:
        True for about one image in five.
    """
    digest = hashlib.sha256(np.ascontiguousarray(pixels, dtype=np.uint8).tobytes()).digest()
    return int.from_bytes(digest[:8], "big") % _ONE_IN == 0


@cache
def _source() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    source = load_digits()  # parses a text file: half a second
    return source.images.astype(np.uint8), source.target.astype(np.int64)  # (1797, 8, 8), (1797,)


def load(part: Part) -> Digits:
    """The digits of one part, in the order of the source.

    Args:
        part: `dataset` (1,446 images) or `pretraining` (351 images).
    Returns:
        The images, labels and source indices of that part.
    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998; scikit-learn's `load_digits`.
    """
    pixels, labels = _source()
    held = np.array([is_held_back(image) for image in pixels])
    keep = np.flatnonzero(held if part == "pretraining" else ~held)
    return Digits(
        images=(pixels[keep] / np.float32(16)).astype(np.float32),
        labels=labels[keep],
        indices=keep.astype(np.int64),
    )
