"""Metrics of separating open-set from in-distribution (ID) images by a score; larger score = more open-set.

Every function takes the scores of ID images (N,) and of open-set images (M,). Equal scores are never separated: they
pass a threshold together. All thresholds are kept, and "at 95 %" means the first threshold that reaches the rate.
AUROC does not depend on which side is called positive; FPR95 and precision do, so their names say it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.detection.arrays import Array, finite
from pipeline.detection.counts import Counts, count, reverse

RATE = 0.95


def auroc(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Probability that an open-set image scores above an ID image, ties counted half.

    Args:
        id_scores: (N,) scores of ID images.
        open_scores: (M,) scores of open-set images.
    Returns:
        Area under the ROC curve, in [0, 1].
    Raises:
        DataError: one side is empty, or a score is not finite.
    """
    return _auroc(_count(id_scores, open_scores))


def fpr95_id_positive(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Share of open-set images accepted when at least 95 % of ID images are (MCM, LoCoOp, NegLabel, CRoFT).

    Arguments, range and errors as in `auroc`; smaller is better.
    """
    return _fpr95_id_positive(_count(id_scores, open_scores))


def fpr95_ood_positive(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Share of ID images rejected when at least 95 % of open-set images are (OpenOOD, pytorch-ood).

    Arguments, range and errors as in `auroc`; smaller is better.
    """
    return _fpr95_ood_positive(_count(id_scores, open_scores))


def average_precision(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Average precision (step-wise area), open-set positive (scikit-learn's, usual in CLIP papers).

    Arguments, range and errors as in `auroc`. Depends on the base rate M / (N + M): report that with it.
    """
    return _average_precision(_count(id_scores, open_scores))


def aupr_out(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Area under precision and recall by trapezoids, open-set positive (OpenOOD's and pytorch-ood's AUPR-OUT).

    The curve starts at recall 0, precision 1. Straight lines between its points are optimistic (Davis and Goadrich,
    ICML 2006), most of all with ties: a constant score reaches (1 + base rate) / 2, where `average_precision` gives
    the base rate. Arguments, range and errors as in `auroc`. Depends on the base rate.
    """
    return _aupr_out(_count(id_scores, open_scores))


def aupr_in(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """As `aupr_out` with ID positive, the lower score the more so (OpenOOD's and pytorch-ood's AUPR-IN)."""
    return _aupr_in(_count(id_scores, open_scores))


def base_rate(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Share of open-set images, M / (N + M): the average precision of a random score."""
    known, unknown = finite(id_scores, "ID scores").size, finite(open_scores, "open-set scores").size
    return unknown / (known + unknown)


def detection(id_scores: ArrayLike, open_scores: ArrayLike, names: Iterable[str]) -> dict[str, float]:
    """Several of the metrics above, of scores that are sorted once.

    Args:
        id_scores, open_scores: as in `auroc`.
        names: of functions of this module that return one number.
    Raises:
        DataError: one side is empty, or a score is not finite.
        KeyError: there is no metric of that name.
    """
    counts = _count(id_scores, open_scores)
    return {name: _METRICS[name](counts) for name in names}


def roc_curve(id_scores: ArrayLike, open_scores: ArrayLike) -> tuple[Array, Array, Array]:
    """Every point of the ROC curve with open-set positive.

    Args:
        id_scores: (N,) scores of ID images.
        open_scores: (M,) scores of open-set images.
    Returns:
        id_share (K + 1,), open_share (K + 1,): shares with score >= threshold, from 0 to 1, not decreasing.
        thresholds (K + 1,): infinity, then the K different scores, falling.
    Raises:
        DataError: one side is empty, or a score is not finite.
    """
    counts = _count(id_scores, open_scores)
    # Shares by one division of counts: a running sum of 1/n would miss a rate such as 0.95 by a rounding error.
    id_share, open_share = (np.append(0.0, reached / reached[-1]) for reached in (counts.first, counts.second))
    return id_share, open_share, np.append(np.inf, counts.thresholds)


def _count(id_scores: ArrayLike, open_scores: ArrayLike) -> Counts:
    return count(finite(id_scores, "ID scores"), finite(open_scores, "open-set scores"))


def _auroc(counts: Counts) -> float:
    known, unknown = counts.first, counts.second
    widths, heights = np.diff(known, prepend=0), unknown + np.append(0, unknown[:-1])
    return float(np.dot(widths, heights) / (2 * known[-1] * unknown[-1]))  # of whole numbers until the division


def _fpr95_id_positive(counts: Counts) -> float:
    # Swapping the roles: ID is positive, and "more ID" is a smaller score.
    known, unknown, _ = reverse(counts)
    return _rate_at(unknown, known)


def _fpr95_ood_positive(counts: Counts) -> float:
    return _rate_at(counts.first, counts.second)


def _rate_at(negative: NDArray[np.int64], positive: NDArray[np.int64]) -> float:
    place = np.searchsorted(positive / positive[-1], RATE)
    return float(negative[place] / negative[-1])


def _average_precision(counts: Counts) -> float:
    known, unknown, _ = counts
    return float(np.sum(np.diff(unknown, prepend=0) * (unknown / (known + unknown))) / unknown[-1])


def _aupr_out(counts: Counts) -> float:
    return _trapezoids(counts.first, counts.second)


def _aupr_in(counts: Counts) -> float:
    known, unknown, _ = reverse(counts)
    return _trapezoids(unknown, known)


def _trapezoids(negative: NDArray[np.int64], positive: NDArray[np.int64]) -> float:
    precision = np.append(1.0, positive / (negative + positive))
    widths = np.diff(positive, prepend=0)
    return float(np.sum(widths * (precision[1:] + precision[:-1])) / (2 * positive[-1]))


def _base_rate(counts: Counts) -> float:
    known, unknown = counts.first[-1], counts.second[-1]
    return float(unknown / (known + unknown))


_METRICS: dict[str, Callable[[Counts], float]] = {
    "auroc": _auroc,
    "fpr95_id_positive": _fpr95_id_positive,
    "fpr95_ood_positive": _fpr95_ood_positive,
    "average_precision": _average_precision,
    "aupr_out": _aupr_out,
    "aupr_in": _aupr_in,
    "base_rate": _base_rate,
}
