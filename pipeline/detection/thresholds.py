"""The score above which an image is called unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.errors import DataError


def accept_threshold(id_scores: ArrayLike, rate: float) -> float:
    """Smallest threshold that accepts at least `rate` of the ID scores; an image is unknown when its score is larger.

    Args:
        id_scores: (N,) scores of in-distribution images that training did not see; larger = more open-set.
        rate: share to accept, in (0, 1].
    Returns:
        One of the scores.
    Raises:
        DataError: there is no score, or one is not finite.
        ValueError: rate is outside (0, 1].
    """
    scores = np.sort(np.asarray(id_scores, dtype=np.float64).reshape(-1))
    if not 0.0 < rate <= 1.0:
        raise ValueError(f"rate must be in (0, 1], got {rate}")
    if scores.size == 0 or not np.isfinite(scores).all():
        raise DataError("threshold: expected at least one score, all finite; check the validation images and the model")
    # Compare the shares k / N themselves: rounding rate * N up gives one too many where the product is inexact.
    shares = np.arange(1, scores.size + 1) / scores.size
    return float(scores[np.searchsorted(shares, rate)])
