"""The arrays that metrics take, checked: a number from a broken model must not look like a measurement."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import DataError

Array = NDArray[np.float64]


def finite(values: ArrayLike, what: str) -> Array:
    """One number an image, as float64.

    Args:
        values: (N,) numbers.
        what: what they are, for the message.
    Raises:
        DataError: there is none, there is more than one axis, or one is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise DataError(f"{what}: expected a non-empty 1-D array, got shape {array.shape}")
    invalid = int(np.count_nonzero(~np.isfinite(array)))
    if invalid:
        raise DataError(f"{what}: {invalid} of {array.size} are not finite; the model that made them is broken")
    return array


def shares(values: ArrayLike, what: str) -> Array:
    """As `finite`, each from 0 to 1.

    Raises:
        DataError: as `finite`, or one is outside [0, 1].
    """
    array = finite(values, what)
    outside = int(np.count_nonzero((array < 0.0) | (array > 1.0)))
    if outside:
        raise DataError(f"{what}: {outside} of {array.size} are outside 0 to 1; expected probabilities")
    return array


def flags(values: ArrayLike, what: str, size: int) -> NDArray[np.bool_]:
    """Yes or no for each of `size` images.

    Args:
        values: (size,) booleans, or numbers that are 0 or 1.
        what: what they say, for the message.
        size: how many there must be.
    Raises:
        DataError: there are more or fewer, or one is neither 0 nor 1.
    """
    array = np.asarray(values)
    if array.shape != (size,):
        raise DataError(f"{what}: expected shape {(size,)}, one for each image, got {array.shape}")
    yes = array == 1
    invalid = int(np.count_nonzero(~yes & (array != 0)))
    if invalid:
        raise DataError(f"{what}: {invalid} of {size} are neither 0 nor 1")
    return np.asarray(yes, dtype=np.bool_)
