"""Accuracy and open-set detection by method and held-out domain, with two kinds of uncertainty, both named.

`*_spread` is the standard deviation over seeds (n - 1 in the denominator): other few-shot images, other order of
batches, same test images. `accuracy_low`, `accuracy_high` are the 95 % bootstrap interval over test images: other
images, same fits. Neither contains the other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.evaluation.bootstrap import correct_by_image, interval, resampled_means
from pipeline.evaluation.measures import BASE_RATE, METRICS, OPEN_SET, columns, known_tested, measure, of_set, open_sets
from pipeline.report.wording import spread_of
from pipeline.tables import MEAN, TEST_UNKNOWN

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

COUNTS = ("n", "n_unknown", "seeds")


def summarise(scores: pd.DataFrame, *, bootstrap: int, seed: int = 0) -> pd.DataFrame:
    """One row per method and held-out domain, and one per method with target MEAN.

    Args:
        scores: SCORES table.
        bootstrap: resamples of the test images for the interval.
        seed: of the resampling; all methods see the same resamples of a domain.
    Returns:
        method, target: in the order of `scores`, MEAN after a method's domains.
        n, n_unknown: different images of known classes in the held-out domain, and of all open sets; seeds: fits
        averaged over.
        accuracy (known classes of the held-out domain), accuracy_id (unseen images of the source domains),
        auroc/NAME, fpr95_id_positive/NAME, fpr95_ood_positive/NAME, average_precision/NAME (open set NAME against known
        classes of the held-out domain, open set positive), the same without /NAME (mean over the open sets), auroc_id
        (unknown against known classes of the source domains): mean over seeds, 0 to 1, each with `*_spread` (or
        `*_spread/NAME`), its standard deviation over seeds.
        accuracy_low, accuracy_high: 95 % bootstrap interval over images. base_rate/NAME: share of open set NAME's
        images, n_unknown/NAME in all, among those and the known ones; base_rate: its mean over the open sets.
        With the target IN_DISTRIBUTION, unseen images of the source domains stand for the held-out domain.
        NaN where there is nothing to measure: no such images, one seed (spread), a domain without a fit (MEAN).
        MEAN rows average over domains within a seed, then over the seeds that have every domain.
    Raises:
        DataError: a score is not finite, or a domain is called MEAN.
    """
    import pandas as pd

    if (scores["target"] == MEAN).any():
        raise DataError(f"a domain is called {MEAN!r}, which the summary needs for itself; rename its folder")
    targets, sets = list(dict.fromkeys(scores["target"])), open_sets(scores)
    rows: list[dict[str, Any]] = []
    for method, of_method in scores.groupby("method", sort=False):
        by_seed: dict[str, pd.DataFrame] = {}
        resampled: dict[str, np.ndarray] = {}
        for target, part in of_method.groupby("target", sort=False):
            by_seed[str(target)] = _by_seed(part, sets)
            correct = correct_by_image(part[known_tested(part)])
            resampled[str(target)] = resampled_means(correct, bootstrap, key=(seed, *str(target).encode()))
            rows.append(_row(method, str(target), by_seed[str(target)], resampled[str(target)], part, sets))
        rows.append(_mean_row(method, targets, by_seed, resampled, of_method, sets))
    return pd.DataFrame(rows)


def metrics_json(summary: pd.DataFrame) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """The summary as {method: {target: {column: value}}}: finite numbers, or None where nothing was measured."""
    nested: dict[str, dict[str, dict[str, float | int | None]]] = {}
    for row in summary.to_dict("records"):
        method, target = str(row.pop("method")), str(row.pop("target"))
        nested.setdefault(method, {})[target] = {str(key): _plain(str(key), value) for key, value in row.items()}
    return nested


def _plain(key: str, value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if key.split("/")[0] in COUNTS else float(value)


def _by_seed(part: pd.DataFrame, sets: list[str]) -> pd.DataFrame:
    """Metrics of one method and target, a row per seed."""
    import pandas as pd

    return pd.DataFrame({seed: measure(rows, sets) for seed, rows in part.groupby("seed", sort=True)}).T


def _row(
    method: object, target: str, by_seed: pd.DataFrame, resampled: np.ndarray, part: pd.DataFrame, sets: list[str]
) -> dict[str, Any]:
    low, high = interval(resampled)
    foreign = part[part["role"] == TEST_UNKNOWN]
    known, unknown = part.loc[known_tested(part), "path"].nunique(), foreign["path"].nunique()
    row: dict[str, Any] = {"method": method, "target": target, "n": known, "n_unknown": unknown, "seeds": len(by_seed)}

    def add(name: str) -> None:
        row[name] = float(by_seed[name].mean())
        row[spread_of(name)] = float(by_seed[name].std(ddof=1))  # NaN for one seed: one fit has no spread

    for name in METRICS:
        add(name)
        if name == "accuracy":
            row["accuracy_low"], row["accuracy_high"] = low, high
    row[BASE_RATE] = float(by_seed[BASE_RATE].mean())
    for one in sets:
        row[of_set("n_unknown", one)] = foreign.loc[foreign["open_set"] == one, "path"].nunique()
        for name in OPEN_SET:
            add(of_set(name, one))
        row[of_set(BASE_RATE, one)] = float(by_seed[of_set(BASE_RATE, one)].mean())
    return row


def _mean_row(
    method: object,
    targets: list[str],
    by_seed: dict[str, pd.DataFrame],
    resampled: dict[str, np.ndarray],
    part: pd.DataFrame,
    sets: list[str],
) -> dict[str, Any]:
    import numpy as np
    import pandas as pd

    if set(targets) <= set(by_seed):
        common = set.intersection(*(set(frame.index) for frame in by_seed.values()))
        per_seed = pd.concat([frame.loc[sorted(common)] for frame in by_seed.values()]).groupby(level=0).mean()
        replicates = np.mean(list(resampled.values()), axis=0)
    else:  # averaging over fewer domains than the other methods would compare different things
        per_seed, replicates = pd.DataFrame(columns=columns(sets), dtype="float64"), np.full(1, math.nan)
    return _row(method, MEAN, per_seed, replicates, part, sets)
