"""Selective classification: how often a model errs on the images that it is most confident of.

Images of equal confidence are never separated: they are answered together or not at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.detection.arrays import Array, finite, flags
from pipeline.detection.counts import Counts, count


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve; smaller is better.

    AURC = 1/N Σ_i risk(t_i), where risk(t) is the share of errors among images of confidence >= t and t_i is the
    confidence of image i          (Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation", ICLR 2019).

    Args:
        confidence: (N,) any number that is larger for a surer answer.
        correct: (N,) whether each image is classified correctly.
    Returns:
        In [0, 1]: 0 without errors, the error rate if all confidences are equal.
    Raises:
        DataError: there is no image, a confidence is not finite, or a flag is neither 0 nor 1.
    """
    right, wrong, _ = _count(confidence, correct)
    answered = right + wrong
    return float(np.sum(np.diff(answered, prepend=0) * (wrong / answered)) / answered[-1])


def risk_at_coverage(confidence: ArrayLike, correct: ArrayLike, coverage: float) -> float:
    """Share of errors among the most confident images that make up at least `coverage` of all; smaller is better.

    The selective risk (Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017) at the
    first threshold that reaches the coverage. Arguments, range and errors as in `aurc`.

    Args:
        coverage: share of images to answer, in (0, 1].
    Raises:
        ValueError: coverage is outside (0, 1].
    """
    if not 0.0 < coverage <= 1.0:
        raise ValueError(f"coverage must be in (0, 1], got {coverage}")
    right, wrong, _ = _count(confidence, correct)
    answered = right + wrong
    place = np.searchsorted(answered / answered[-1], coverage)
    return float(wrong[place] / answered[place])


def _count(confidence: ArrayLike, correct: ArrayLike) -> Counts:
    values: Array = finite(confidence, "confidence")
    right = flags(correct, "correct", values.size)
    return count(values[right], values[~right])
