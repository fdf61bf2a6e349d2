"""How many numbers of two groups reach each threshold: what every curve of a ranking is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.arrays import Array


class Counts(NamedTuple):
    """Numbers of two groups that are at or above each of their K different values, which fall.

    first, second: (K,) int64, not decreasing; the last entries are the sizes of the groups. thresholds: (K,) float64.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    thresholds: Array


def count(first: Array, second: Array) -> Counts:
    """Count both groups at every different value; equal values enter together.

    Args:
        first: (N,) finite numbers.
        second: (M,) finite numbers; one of the groups may be empty.
    """
    # Sorting each group's values and merging two sorted runs takes a fraction of the time of sorting indices of all.
    falling = np.concatenate([np.sort(-first), np.sort(-second)])
    order = np.argsort(falling, kind="stable")
    values = falling[order]
    last_of_equals = np.append(values[1:] != values[:-1], True)
    in_second = np.cumsum(order >= first.size, dtype=np.int64)[last_of_equals]
    total = np.flatnonzero(last_of_equals) + 1
    return Counts(total - in_second, in_second, -values[last_of_equals])


def reverse(counts: Counts) -> Counts:
    """The counts of the same groups with the sign of every number changed: those at or below each value, rising."""
    first, second = (sizes[-1] - np.append(0, sizes[:-1]) for sizes in (counts.first, counts.second))
    return Counts(first[::-1], second[::-1], -counts.thresholds[::-1])
