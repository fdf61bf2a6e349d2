"""How sure a difference between two versions is: variance, interval, and the smallest regression that would show. Pure.

A difference d is the mean of S paired differences d_s, one a seed. Its variance has two sources, which are added:

    V = B + s^2 / S,    B: variance of d over bootstrap resamples of the images, with the fits as they are
                        s: standard deviation of the d_s, all on the same images

B holds what other images would change, s^2 / S what training again would change. Each d_s contains some noise of the
images too, so that the sum is a little too large and never too small. s comes from S - 1 degrees of freedom, B from the
number of groups of images less one; Welch and Satterthwaite's formula joins them, and Student's t gives the bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

POWER = 0.8


@dataclass(frozen=True)
class Effect:
    """A difference, challenger minus champion, positive where the challenger is better.

    Attributes:
        gain: the mean over seeds.
        error: its standard error, sqrt(V); NaN for fewer than two seeds, of which no spread can be taken.
        freedom: degrees of freedom, > 0; NaN likewise.
    """

    gain: float
    error: float
    freedom: float

    def low(self, alpha: float) -> float:
        """Lower bound, below which the true gain lies with probability `alpha` at most; -inf where nothing is known."""
        return self.gain - self._reach(alpha)

    def high(self, alpha: float) -> float:
        """Upper bound likewise."""
        return self.gain + self._reach(alpha)

    def detectable(self, alpha: float) -> float:
        """The smallest margin by which an equal version is shown to be no worse with probability POWER.

        (t_{1 - alpha} + t_{POWER}) * error; inf where nothing is known. It is as well the smallest true regression that
        a test for "worse" sees with that probability.
        """
        if math.isnan(self.error):
            return math.inf
        return (quantile(1 - alpha, self.freedom) + quantile(POWER, self.freedom)) * self.error

    def _reach(self, alpha: float) -> float:
        return math.inf if math.isnan(self.error) else quantile(1 - alpha, self.freedom) * self.error


def effect(replicates: np.ndarray, by_seed: np.ndarray, groups: int) -> Effect:
    """Join the two sources of variance.

    Args:
        replicates: (1 + B,) the difference on the images as they are, then on B >= 2 resamples; NaN for a resample that
            measured nothing.
        by_seed: (S,) the difference of each pair of seeds, on the images as they are.
        groups: groups of images that were drawn, >= 2.
    """
    gain, resampled = float(replicates[0]), replicates[1:][np.isfinite(replicates[1:])]
    seeds = len(by_seed)
    if seeds < 2 or len(resampled) < 2:
        return Effect(gain, math.nan, math.nan)
    images, training = float(np.var(resampled, ddof=1)), float(np.var(by_seed, ddof=1)) / seeds
    total = images + training
    if total == 0:
        return Effect(gain, 0.0, math.inf)
    freedom = total**2 / (images**2 / max(groups - 1, 1) + training**2 / (seeds - 1))
    return Effect(gain, math.sqrt(total), freedom)


def spent(alpha: float, gate: int) -> float:
    """The error rate that a gate may use: alpha * 6 / (pi * gate)^2, which sums to alpha over all gates.

    Args:
        alpha: for all gates against one champion together, 0 to 1.
        gate: 1 for the first of them.
    """
    return alpha * 6 / (math.pi * gate) ** 2


def quantile(probability: float, freedom: float) -> float:
    """Of Student's t; of the normal distribution for infinite freedom."""
    from scipy.special import ndtri, stdtrit  # scipy.stats takes seconds to import

    return float(ndtri(probability) if math.isinf(freedom) else stdtrit(freedom, probability))
