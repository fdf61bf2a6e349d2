"""One number that makes class probabilities mean what they say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

FEWEST = 50  # images; with fewer, one image moves the temperature by as much as it is off
_LOWEST, _HIGHEST = 0.05, 20.0


class Temperature(NamedTuple):
    """What logits are divided by before the softmax, > 0, and why it is 1 where it could not be fitted."""

    value: float
    note: str = ""


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> Temperature:
    """The temperature of least mean negative log-likelihood (Guo et al., "On Calibration", ICML 2017).

    The loss is convex in 1 / T, so a bounded search finds its minimum.

    Args:
        logits: (N, C) of images that training did not see.
        labels: (N,) in [0, C).
    Returns:
        T in (0.05, 20); 1 with a note where N < FEWEST or no T in this range is best, as when every image is right.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    values, rows = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
    if len(values) < FEWEST:
        return Temperature(1.0, f"not calibrated: {len(values)} validation images, {FEWEST} are needed")
    right = np.take_along_axis(values, rows[:, None], axis=1)[:, 0]

    def loss(log_inverse: float) -> float:
        inverse = np.exp(log_inverse)
        return float(np.mean(logsumexp(inverse * values, axis=1) - inverse * right))

    ends = -np.log(_HIGHEST), -np.log(_LOWEST)
    found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-6})
    if min(abs(found.x - end) for end in ends) < 1e-3:
        return Temperature(1.0, "not calibrated: the validation images do not bound the temperature")
    return Temperature(float(np.exp(-found.x)))
