"""Accuracy, detection and calibration by method and held-out domain.

`*_spread` is the standard deviation over seeds (n - 1 in the denominator): other few-shot images, other order of
batches, same test images. `intervals` adds what other images would do to the same fits. Neither contains the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.evaluation.measures import BASE_RATE, METRICS, OPEN_SET, keys, known_tested, measure, open_sets
from pipeline.evaluation.results import BY_OPEN_SET, finite, spread_of
from pipeline.tables import IN_DISTRIBUTION, MEAN, TEST_UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

Summary = dict[str, dict[str, dict[str, Any]]]
WORST, HARMONIC = "accuracy_worst_domain", "accuracy_auroc_harmonic_mean"
OF_MEAN = (WORST, HARMONIC)
"""What only the mean over held-out domains has."""


def summarise(scores: pd.DataFrame) -> Summary:
    """The content of metrics.json: {method: {held-out domain: numbers}}, and MEAN after a method's domains.

    Args:
        scores: SCORES table.
    Returns:
        Methods and domains in the order of `scores`. Of each:
        n, n_unknown: different images of known classes in the held-out domain, and of all open sets; seeds: fits
        averaged over.
        METRICS (docs/metrics.md): mean over seeds, 0 to 1, each with `*_spread`, its standard deviation over seeds.
        accuracy, KNOWN: known classes of the held-out domain; accuracy_id: unseen images of the source domains;
        OPEN_SET: unknown images against known classes of the held-out domain, mean over the open sets; auroc_id:
        unknown against known classes of the source domains.
        base_rate: share of unknown images among
        those and the known ones, mean over the open sets.
        open_sets: {open set: its own OPEN_SET with spreads, base_rate and n_unknown}.
        With the target IN_DISTRIBUTION, unseen images of the source domains stand for the held-out domain.
        Of MEAN alone: OF_MEAN with spreads, of each seed's accuracy on its worst domain, and of the harmonic mean of
        its mean accuracy and mean auroc.
        None where there is nothing to measure: no such images, one seed (spread), a domain without a fit (MEAN).
        MEAN averages over domains within a seed, then over the seeds that have every domain.
    Raises:
        DataError: a score is not finite, or a domain is called MEAN.
    """
    if (scores["target"] == MEAN).any():
        raise DataError(f"a domain is called {MEAN!r}, a name that the summary reserves; rename its folder")
    targets, sets = list(scores["target"].unique()), open_sets(scores)
    summary: Summary = {}
    for method, of_method in scores.groupby("method", sort=False):
        by_seed: dict[str, pd.DataFrame] = {}
        rows = summary[str(method)] = {}
        for name, part in of_method.groupby("target", sort=False):
            target = str(name)
            by_seed[target] = _by_seed(part, sets)
            rows[target] = _numbers(by_seed[target], part, sets)
        rows[MEAN] = _numbers(_over_targets(targets, by_seed, sets), of_method, sets)
    return summary


def _by_seed(part: pd.DataFrame, sets: Sequence[str]) -> pd.DataFrame:
    """Measures of one method and target: a row per seed, a column per key."""
    import pandas as pd

    return pd.DataFrame({seed: measure(rows, sets) for seed, rows in part.groupby("seed", sort=True)}).T


def _over_targets(targets: Sequence[str], by_seed: dict[str, pd.DataFrame], sets: Sequence[str]) -> pd.DataFrame:
    """Measures by seed, averaged over targets; empty where a target lacks a fit."""
    import pandas as pd

    if not set(targets) <= set(by_seed):  # a mean over fewer domains than the other methods' is not comparable
        columns = pd.MultiIndex.from_tuples([*keys(sets), *(("", name) for name in OF_MEAN)])
        return pd.DataFrame(columns=columns, dtype="float64")
    common = sorted(set.intersection(*(set(frame.index) for frame in by_seed.values())))
    fits = pd.concat([frame.loc[common] for frame in by_seed.values()]).groupby(level=0)
    means = fits.mean()
    accuracy, auroc = means["", "accuracy"], means["", "auroc"]
    means["", WORST] = math.nan if IN_DISTRIBUTION in by_seed else fits.min()["", "accuracy"]
    means["", HARMONIC] = 2 * accuracy * auroc / (accuracy + auroc)
    return means


def _numbers(by_seed: pd.DataFrame, part: pd.DataFrame, sets: Sequence[str]) -> dict[str, Any]:
    """Means and spreads over seeds, and counts of images in `part`."""
    unknown = part[part["role"] == TEST_UNKNOWN]

    def averaged(open_set: str, names: Sequence[str]) -> dict[str, float | None]:
        values = {name: float(by_seed[open_set, name].mean()) for name in (*names, BASE_RATE)}
        # NaN for one seed: a single fit has no spread.
        values |= {spread_of(name): float(by_seed[open_set, name].std(ddof=1)) for name in names}
        return {name: finite(value) for name, value in values.items()}

    return {
        "n": part.loc[known_tested(part), "path"].nunique(),
        "n_unknown": unknown["path"].nunique(),
        "seeds": len(by_seed),
        **averaged("", [name for name in (*METRICS, *OF_MEAN) if ("", name) in by_seed]),
        BY_OPEN_SET: {
            name: averaged(name, OPEN_SET) | {"n_unknown": unknown.loc[unknown["open_set"] == name, "path"].nunique()}
            for name in sets
        },
    }
