"""Calibration of the predicted class (top label): whether a model that is 80 % sure is right 80 % of the time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.detection.arrays import flags, shares

BINS = 15


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy over equal-width bins of confidence; smaller is better.

    ECE = Σ_b n_b / N · |accuracy_b - confidence_b|, bins ((b - 1) / B, b / B], 0 in the first
                        (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3)

    Args:
        confidence: (N,) probability of the predicted class, 0 to 1.
        correct: (N,) whether each prediction is right.
        bins: B >= 1.
    Returns:
        In [0, 1].
    Raises:
        DataError: there is no image, a confidence is not finite or outside [0, 1], or a flag is neither 0 nor 1.
        ValueError: bins < 1.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    values = shares(confidence, "confidence")
    right = flags(correct, "correct", values.size)
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    gaps = np.bincount(np.searchsorted(edges, values), values - right, minlength=bins)  # (B,) n_b (conf_b - acc_b)
    return float(np.abs(gaps).sum() / values.size)


def brier_top_label(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Mean squared distance of the confidence from 1 where the prediction is right and from 0 where not.

    The Brier score (Brier, Monthly Weather Review 1950) of the event "the predicted class is the true one", not the sum
    over all classes. Smaller is better; it falls with calibration and with accuracy. Arguments, range and errors as in
    `expected_calibration_error`.
    """
    values = shares(confidence, "confidence")
    distances = values - flags(correct, "correct", values.size)
    return float(np.mean(distances**2))
