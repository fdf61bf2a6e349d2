"""95 % intervals over test images, read off the resamples, and where metrics.json holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.evaluation.bootstrap import interval
from pipeline.evaluation.results import BY_OPEN_SET, finite
from pipeline.evaluation.summary import Summary
from pipeline.tables import MEAN

if TYPE_CHECKING:
    import pandas as pd


def intervals(table: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """95 % intervals over images; NaN where there is none.

    Args:
        table: what `resampled` returns.
    Returns:
        {method: {target or MEAN: {metric_low, metric_high, and BY_OPEN_SET: {open set: the same}}}}.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for metric in table.index.unique("metric"):
        of_metric = table.loc[metric]
        targets = of_metric.index.unique("target")
        for method in of_metric.index.unique("method"):
            by_target = of_metric.loc[method].groupby(level="target").mean(numeric_only=True)
            # A mean over fewer domains than the other methods' is not comparable.
            rows = {**dict(by_target.iterrows()), MEAN: by_target.reindex(targets).mean(skipna=False)}
            for target, values in rows.items():
                low, high = interval(values.to_numpy()[1:])
                block = found.setdefault(str(method), {}).setdefault(str(target), {})
                name, _, open_set = str(metric).partition("/")
                block = block.setdefault(BY_OPEN_SET, {}).setdefault(open_set, {}) if open_set else block
                block |= {f"{name}_low": low, f"{name}_high": high}
    return found


def with_intervals(summary: Summary, table: pd.DataFrame) -> Summary:
    """The same numbers, each of the metrics that were resampled with its ends, `*_low` and `*_high`; None for no end.

    Args:
        summary: from `summarise`.
        table: what `resampled` returns of the same scores.
    """
    found = intervals(table)

    def ends(method: str, target: str) -> dict[str, Any]:
        return found.get(method, {}).get(target, {})

    return {
        method: {target: _joined(numbers, ends(method, target)) for target, numbers in targets.items()}
        for method, targets in summary.items()
    }


def _joined(numbers: dict[str, Any], ends: dict[str, Any]) -> dict[str, Any]:
    by_set = ends.get(BY_OPEN_SET, {})
    own = {name: finite(end) for name, end in ends.items() if name != BY_OPEN_SET}
    sets = {
        name: block | {key: finite(end) for key, end in by_set.get(name, {}).items()}
        for name, block in numbers[BY_OPEN_SET].items()
    }
    return {key: value for key, value in numbers.items() if key != BY_OPEN_SET} | own | {BY_OPEN_SET: sets}
