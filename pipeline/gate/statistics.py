"""How sure a difference between two versions is: bounds, and the smallest regression that would show. Pure.

A difference d is the mean of S paired differences d_s, one a seed. Two sources move it:

    b: standard deviation of d over bootstrap resamples of the images, with the fits as they are: other images
    s / sqrt(S), s the standard deviation of the d_s, all on the same images: training again

Each has its own bound, and their squares are added (Howe 1974; Zou and Donner 2008, "MOVER"):

    d -+ sqrt((t_{1 - alpha, G - 1} b)^2 + (t_{1 - alpha, S - 1} s / sqrt(S))^2),    G: groups of images

One quantile for b^2 + s^2 / S, with the degrees of freedom of Welch and Satterthwaite, would be too small at small
alpha: s of three seeds is often small by chance, and the degrees of freedom then look many. Each d_s contains some
noise of the images too, so that the sum errs towards caution.
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
        images: its standard error from the images.
        training: its standard error from the seeds; NaN for fewer than two, of which no spread can be taken.
        groups: of images, >= 2.
        seeds: pairs of fits.
    """

    gain: float
    images: float
    training: float
    groups: int
    seeds: int

    def low(self, alpha: float) -> float:
        """Lower bound, above which the true gain lies but for a probability of `alpha`; -inf where nothing is known."""
        return self.gain - self._reach(alpha)

    def high(self, alpha: float) -> float:
        """Upper bound likewise."""
        return self.gain + self._reach(alpha)

    def detectable(self, alpha: float) -> float:
        """The smallest margin by which an equal version is shown to be no worse with probability POWER, about.

        The distance of the bound plus the gain's own quantile of POWER; inf where nothing is known. It is as well the
        smallest true regression that a test for "worse" sees with that probability.
        """
        reach = self._reach(alpha)
        if math.isinf(reach):
            return reach
        return reach + quantile(POWER, math.inf) * math.hypot(self.images, self.training)

    def _reach(self, alpha: float) -> float:
        if math.isnan(self.images) or math.isnan(self.training):
            return math.inf
        of_images = quantile(1 - alpha, max(self.groups - 1, 1)) * self.images
        return math.hypot(of_images, quantile(1 - alpha, self.seeds - 1) * self.training)


def effect(replicates: np.ndarray, by_seed: np.ndarray, groups: int) -> Effect:
    """Measure the two sources.

    Args:
        replicates: (1 + B,) the difference on the images as they are, then on B resamples; NaN for a resample that
            measured nothing.
        by_seed: (S,) the difference of each pair of seeds, on the images as they are.
        groups: groups of images that were drawn.
    """
    gain, resampled = float(replicates[0]), replicates[1:][np.isfinite(replicates[1:])]
    seeds = len(by_seed)
    images = float(np.std(resampled, ddof=1)) if len(resampled) > 1 else math.nan
    training = float(np.std(by_seed, ddof=1)) / math.sqrt(seeds) if seeds > 1 else math.nan
    return Effect(gain, images, training, groups, seeds)


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
