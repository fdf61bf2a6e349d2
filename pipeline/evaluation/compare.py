"""Whether a method classifies held-out domains better than another, and tells unknown images better from known ones.

Two kinds of uncertainty, both named: an interval over test images (other images, same fits) and a spread over seeds
(other few-shot images, other order of batches, same test images). Neither contains the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.evaluation.bootstrap import interval
from pipeline.evaluation.difference import Difference

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

WORST = "accuracy_worst"
"""Accuracy on the held-out domain where it is lowest: of each method, and in each resample, its own."""


def difference(table: pd.DataFrame, metric: str, method: str, reference: str) -> Difference:
    """Paired difference over held-out domains, on the seeds that both methods have.

    Args:
        table: what `resampled` returns: both methods on the same resamples.
        metric: one of the table, or WORST of a table that has accuracy.
        method, reference: two methods of it.
    Returns:
        NaN where a domain lacks a fit of either, or nothing was measured.
    """
    import numpy as np

    over = np.min if metric == WORST else np.mean
    measured = "accuracy" if metric == WORST else metric
    first, second = (_fits(table, measured, name) for name in (method, reference))
    targets = first.index.unique("target").union(second.index.unique("target"))
    both = first.index.intersection(second.index)
    if not len(targets) or set(both.unique("target")) != set(targets):
        return Difference(metric, method, reference, math.nan, math.nan, math.nan, math.nan, 0)
    gain = _over_targets(first.loc[both], over) - _over_targets(second.loc[both], over)  # (1 + B,)
    low, high = interval(gain[1:])
    by_seed = [
        float(_over_targets(first.loc[fits], over)[0] - _over_targets(second.loc[fits], over)[0])
        for fits in (both[both.get_level_values("seed") == seed] for seed in both.unique("seed"))
        if len(fits) == len(targets)
    ]
    spread = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else math.nan
    return Difference(metric, method, reference, float(gain[0]), low, high, spread, len(both.unique("seed")))


def level(table: pd.DataFrame, metric: str, method: str) -> float:
    """A method's own number, as `difference` takes it; NaN where nothing was measured."""
    import numpy as np

    fits = _fits(table, "accuracy" if metric == WORST else metric, method)
    return float(_over_targets(fits, np.min if metric == WORST else np.mean)[0]) if len(fits) else math.nan


def _fits(table: pd.DataFrame, metric: str, method: str) -> pd.DataFrame:
    """Rows by (target, seed); none where the method was not measured."""
    wanted = (table.index.get_level_values("metric") == metric) & (table.index.get_level_values("method") == method)
    return table[wanted].droplevel(["metric", "method"])


def _over_targets(fits: pd.DataFrame, over: Callable[..., np.ndarray]) -> np.ndarray:
    """(1 + B,) mean over the seeds of each target, then over targets."""
    by_target = fits.groupby(level="target").mean().to_numpy()
    return over(by_target, axis=0)
