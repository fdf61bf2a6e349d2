"""Contents of the report's tables: cells of text, and which of them are the best of their column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.hessian import MEASURES
from pipeline.report.wording import (
    HIGHER_IS_BETTER,
    NONE,
    Metrics,
    best,
    by_accuracy,
    cell,
    held_out,
    open_sets,
    percent,
    targets_of,
    tested_on,
)
from pipeline.tables import MEAN

if TYPE_CHECKING:
    import pandas as pd

Settings = Mapping[str, Mapping[str, object]]


Row = dict[str, Any]
"""method, and cells: each with a text, whether it is the best of its column, and what stands below it."""


def measured(metrics: Metrics, metric: str) -> bool:
    """Whether any method has a mean of it."""
    return any(of_method.get(MEAN, {}).get(metric) is not None for of_method in metrics.values())


def tiles(metrics: Metrics, deployed: str) -> list[tuple[str, str]]:
    """The deployed method's main numbers, each with its name; nothing where that method was not evaluated."""
    if deployed not in metrics:
        return []
    names = {"accuracy": f"accuracy on {tested_on(metrics)}"}
    names |= {"accuracy_id": "accuracy on source domains"} if held_out(metrics) else {}
    names |= {
        "auroc": "AUROC, unknown against known",
        "fpr95_id_positive": "unknown accepted at 95 % known accepted",
    }
    return [(cell(metrics, deployed, MEAN, metric), name) for metric, name in names.items()]


def accuracy_rows(metrics: Metrics) -> list[Row]:
    """Accuracy of each method on each held-out domain, the interval below it."""
    rows = domain_rows(metrics, "accuracy")
    for row in rows:
        for target, shown in zip(targets_of(metrics), row["cells"], strict=True):
            numbers = metrics[row["method"]].get(target, {})
            low, high = numbers.get("accuracy_low"), numbers.get("accuracy_high")
            if low is not None and high is not None:
                shown["below"] = f"{percent(low)} to {percent(high)}"
    return rows


def domain_rows(metrics: Metrics, metric: str) -> list[Row]:
    """One metric, larger is better: methods x held-out domains, then the mean."""
    return _rows(metrics, [(target, metric, True) for target in targets_of(metrics)])


def open_set_tables(metrics: Metrics) -> list[tuple[str, list[Row]]]:
    """Open-set metrics, mean over domains: methods x metrics, for each open set, by name; none where not measured."""
    ways = {**HIGHER_IS_BETTER, "average_precision": True}
    tables = [
        (name, _rows(metrics, [(MEAN, f"{metric}/{name}", higher) for metric, higher in ways.items()]))
        for name in open_sets(metrics)
    ]
    if len(tables) > 1:
        tables.append((MEAN, _rows(metrics, [(MEAN, metric, higher) for metric, higher in ways.items()])))
    return tables


def set_rows(metrics: Metrics) -> list[Row]:
    """AUROC, mean over domains: methods x open sets, then their mean."""
    names = [*(f"auroc/{name}" for name in open_sets(metrics)), "auroc"]
    return _rows(metrics, [(MEAN, name, True) for name in names])


def base_rates(metrics: Metrics) -> dict[str, str]:
    """The share of unknown images of each open set, in percent."""
    means = [of_method[MEAN] for of_method in metrics.values() if MEAN in of_method]
    return {
        name: percent(next((m[key] for m in means if m.get(key) is not None), None))
        for name in open_sets(metrics)
        for key in (f"base_rate/{name}",)
    }


def _rows(metrics: Metrics, columns: Sequence[tuple[str, str, bool]]) -> list[Row]:
    tops = [best(metrics, target, metric, higher=higher) for target, metric, higher in columns]
    return [
        {
            "method": method,
            "cells": [
                {"text": cell(metrics, method, target, metric), "best": method in top, "below": ""}
                for (target, metric, _), top in zip(columns, tops, strict=True)
            ],
        }
        for method in by_accuracy(metrics)
    ]


def hessian_rows(hessian: pd.DataFrame, methods: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each method's agreement of Hessians: mean over held-out domains and seeds ± standard deviation over all fits."""
    rows = []
    for method in methods:
        own = hessian[hessian["method"] == method]
        if len(own):
            columns = [own[name].dropna() for name in MEASURES]
            rows.append((method, [f"{c.mean():.3f} ± {c.std(ddof=1):.3f}" if len(c) > 1 else NONE for c in columns]))
    return rows


def counts(metrics: Metrics) -> dict[str, int]:
    """The largest numbers of known images, of unknown images and of seeds in any row."""
    rows = [numbers for of_method in metrics.values() for numbers in of_method.values()]
    return {key: max((int(row.get(key) or 0) for row in rows), default=0) for key in ("n", "n_unknown", "seeds")}


def shared_settings(settings: Settings) -> dict[str, str]:
    """Settings that have the same value in all methods."""
    found = {name: _values(settings, name) for name in _names(settings)}
    return {name: _plain(next(iter(values))) for name, values in found.items() if len(values) == 1}


def differing_settings(settings: Settings) -> dict[str, dict[str, str]]:
    """Each method's values of the other settings."""
    names = [name for name in _names(settings) if len(_values(settings, name)) > 1]
    return {
        method: {name: _plain(json.dumps(own[name])) if name in own else NONE for name in names}
        for method, own in settings.items()
    }


def _names(settings: Settings) -> list[str]:
    return list(dict.fromkeys(name for own in settings.values() for name in own))


def _values(settings: Settings, name: str) -> set[str]:
    return {json.dumps(own.get(name)) for own in settings.values()}


def _plain(text: str) -> str:
    return text.strip('"')
