"""Which of two methods classifies held-out domains better, and whether the difference exceeds chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.evaluation.bootstrap import correct_by_image, interval, resampled_means
from pipeline.evaluation.measures import known_tested

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Difference:
    """Accuracy of `method` minus that of `reference`, mean over held-out domains, -1 to 1, with a 95 % interval."""

    method: str
    reference: str
    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """better, worse or unclear: whether the interval leaves out zero."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "unclear"


def difference(scores: pd.DataFrame, method: str, reference: str, *, bootstrap: int) -> Difference:
    """Paired difference in accuracy on held-out domains, on the seeds that both methods have.

    Args:
        scores: SCORES table.
        method, reference: two methods of it.
        bootstrap: resamples of the test images; both methods are compared on the same ones.
    Returns:
        The mean over held-out domains, its interval over images; NaN where a domain lacks a fit of either.
    """
    import numpy as np

    shifted = scores[known_tested(scores)]
    values, replicates = [], []
    for target, part in shifted.groupby("target", sort=False):
        first, second = (correct_by_image(part[part["method"] == name]) for name in (method, reference))
        seeds = first.columns.intersection(second.columns)
        gain = first[seeds] - second[seeds]
        values.append(float(gain.mean().mean()))
        replicates.append(resampled_means(gain, bootstrap, target=str(target)))
    if not values:
        return Difference(method, reference, math.nan, math.nan, math.nan)
    low, high = interval(np.mean(replicates, axis=0))
    return Difference(method, reference, float(np.mean(values)), low, high)
