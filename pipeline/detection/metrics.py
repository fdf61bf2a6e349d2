"""Metrics of separating open-set from in-distribution (ID) images by a score; larger score = more open-set.

Every function takes the scores of ID images (N,) and of open-set images (M,). Equal scores are never separated: they
pass a threshold together. All thresholds are kept, and "at 95 %" means the first threshold that reaches the rate.
AUROC does not depend on which side is called positive; FPR95 and precision do, so their names or docstrings say it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import DataError

RATE = 0.95
Array = NDArray[np.float64]


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
    id_share, open_share, _ = roc_curve(id_scores, open_scores)
    return float(np.trapezoid(open_share, id_share))


def fpr95_id_positive(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Share of open-set images accepted when at least 95 % of ID images are (MCM, LoCoOp, NegLabel, CRoFT).

    Arguments, range and errors as in `auroc`; smaller is better.
    """
    # Swapping the roles: ID is positive, and "more ID" is a smaller score.
    return _rate_at(-_scores(open_scores, "open-set"), -_scores(id_scores, "ID"))


def fpr95_ood_positive(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Share of ID images rejected when at least 95 % of open-set images are (OpenOOD, pytorch-ood).

    Arguments, range and errors as in `auroc`; smaller is better.
    """
    return _rate_at(id_scores, open_scores)


def average_precision(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Average precision (step-wise area), open-set positive (scikit-learn's, usual in CLIP papers).

    Arguments, range and errors as in `auroc`. Depends on the base rate M / (N + M): report that with it.
    """
    negative, positive = _scores(id_scores, "ID"), _scores(open_scores, "open-set")
    false_count, true_count, _ = _counts(negative, positive)
    precision = true_count / (false_count + true_count)
    return float(np.sum(np.diff(true_count / positive.size, prepend=0.0) * precision))


def base_rate(id_scores: ArrayLike, open_scores: ArrayLike) -> float:
    """Share of open-set images, M / (N + M): the average precision of a random score."""
    known, unknown = _scores(id_scores, "ID").size, _scores(open_scores, "open-set").size
    return unknown / (known + unknown)


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
    negative, positive = _scores(id_scores, "ID"), _scores(open_scores, "open-set")
    false_count, true_count, thresholds = _counts(negative, positive)
    # Shares by one division of counts: a running sum of 1/n would miss a rate such as 0.95 by a rounding error.
    return (
        np.append(0.0, false_count / negative.size),
        np.append(0.0, true_count / positive.size),
        np.append(np.inf, thresholds),
    )


def _rate_at(negative: ArrayLike, positive: ArrayLike) -> float:
    false_share, true_share, _ = roc_curve(negative, positive)
    return float(false_share[np.searchsorted(true_share, RATE)])


def _counts(negative: Array, positive: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    scores = np.concatenate([negative, positive])
    is_positive = np.concatenate([np.zeros(negative.size, np.int64), np.ones(positive.size, np.int64)])
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    last_of_ties = np.append(scores[1:] != scores[:-1], True)
    true_count = np.cumsum(is_positive[order])[last_of_ties]
    total = np.flatnonzero(last_of_ties) + 1
    return total - true_count, true_count, scores[last_of_ties]


def _scores(values: ArrayLike, side: str) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise DataError(f"{side} scores: expected a non-empty 1-D array, got shape {array.shape}")
    invalid = int(np.count_nonzero(~np.isfinite(array)))
    if invalid:
        raise DataError(f"{side} scores: {invalid} of {array.size} are not finite; the model that made them is broken")
    return array
