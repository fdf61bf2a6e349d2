"""Metrics of resampled images, all resamples at once: an image that was drawn twice weighs two.

Each fit's scores are sorted once; what a resample adds is a column of weights and their running sum. With weights of
one, the detection metrics are those of `pipeline.detection.metrics`: larger scores are more open-set, equal scores pass
a threshold together, and "at 95 %" means the first threshold that reaches the rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.metrics import RATE

Floats = NDArray[np.float64]
Counts = NDArray[np.int32]


@dataclass(frozen=True)
class Side:
    """The known or the unknown images of one fit, by score.

    Attributes:
        scores: (N,) rising.
        weights: (N, B), how often each resample drew each image.
        below: (N + 1, B), weight of the first 0 to N images.
    """

    scores: Floats
    weights: Counts
    below: Counts

    @property
    def total(self) -> Counts:
        """(B,) weight of all images."""
        return np.asarray(self.below[-1])


def make_side(scores: Floats, weights: Counts) -> Side:
    """Sort images by score.

    Args:
        scores: (N,) finite.
        weights: (N, B) int32, not negative.
    """
    order = np.argsort(scores, kind="stable")
    weights = weights[order]
    below = np.zeros((len(scores) + 1, weights.shape[1]), dtype=np.int32)
    np.cumsum(weights, axis=0, out=below[1:])
    return Side(scores[order], weights, below)


def accuracy(correct: NDArray[np.bool_], weights: Counts) -> Floats:
    """(B,) share of correct images.

    Args:
        correct: (N,).
        weights: (N, B).
    """
    with np.errstate(invalid="ignore"):  # a resample may miss every image that this seed tested
        return np.asarray(weights[correct].sum(axis=0) / weights.sum(axis=0))


def auroc(known: Side, unknown: Side) -> Floats:
    """(B,) probability that an unknown image scores above a known one, ties counted half; NaN where a side is empty.

    The mean over unknown images u of P(known < u) + P(known = u) / 2, each a difference of two running sums.
    """
    lower, upper = (np.searchsorted(known.scores, unknown.scores, side=side) for side in ("left", "right"))
    # The weight of known images below u, twice: those up to its first tie and those up to its last.
    twice = known.below[lower] + known.below[upper]  # (M, B)
    wins = np.einsum("mb,mb->b", unknown.weights, twice, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(wins / (2.0 * known.total * unknown.total))


def fpr95_id_positive(known: Side, unknown: Side) -> Floats:
    """(B,) share of unknown images accepted when at least 95 % of the known ones are; NaN where a side is empty."""
    with np.errstate(invalid="ignore"):
        short = known.below[1:] / known.total < RATE  # (N, B)
        accepted = np.minimum(short.sum(axis=0), len(known.scores) - 1)  # (B,) the last known image that is accepted
        passing = np.searchsorted(unknown.scores, known.scores[accepted], side="right")
        return np.where(known.total > 0, _at(unknown.below, passing) / unknown.total, np.nan)


def fpr95_ood_positive(known: Side, unknown: Side) -> Floats:
    """(B,) share of known images rejected when at least 95 % of the unknown ones are; NaN where a side is empty."""
    with np.errstate(invalid="ignore"):
        enough = (unknown.total - unknown.below[:-1]) / unknown.total >= RATE  # (M, B), of the images from each on
        rejected = np.maximum(enough.sum(axis=0) - 1, 0)  # (B,) the lowest unknown image that is rejected
        passing = np.searchsorted(known.scores, unknown.scores[rejected], side="left")
        return np.where(unknown.total > 0, (known.total - _at(known.below, passing)) / known.total, np.nan)


DETECTION = {"auroc": auroc, "fpr95_id_positive": fpr95_id_positive, "fpr95_ood_positive": fpr95_ood_positive}


def _at(below: Counts, rows: NDArray[np.intp]) -> Counts:
    return np.asarray(np.take_along_axis(below, rows[None, :], axis=0)[0])  # (B,)
