"""The shape of metrics.json and how it is read. Imports nothing heavy: the terminal needs this alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.tables import IN_DISTRIBUTION, MEAN, UNKNOWN_CLASSES

Numbers = Mapping[str, Any]
"""{metric: share from 0 to 1, count, or None where nothing was measured}, and the id of what the row is about.

Detection metrics are means over the open sets; BY_OPEN_SET holds the numbers of each open set, {name: Numbers}.
"""
Metrics = Mapping[str, Mapping[str, Numbers]]
"""{method: {held-out domain or MEAN: Numbers}}, the content of metrics.json."""

BY_OPEN_SET = "open_sets"
PROTOCOL = "protocol"
"""The key of the id of what a row is about (`protocol.protocols`)."""


def spread_of(metric: str) -> str:
    """The key of a metric's standard deviation over seeds."""
    return f"{metric}_spread"


def finite(value: float) -> float | None:
    """A number for JSON, which has no NaN; None where nothing was measured."""
    return float(value) if math.isfinite(value) else None


def numbers_of(metrics: Metrics, method: str, target: str = MEAN, open_set: str = "") -> Numbers:
    """The numbers of a method on a held-out domain, on one open set if it is named; empty where there are none."""
    numbers: Numbers = metrics.get(method, {}).get(target, {})
    return numbers.get(BY_OPEN_SET, {}).get(open_set, {}) if open_set else numbers


def flat(metrics: Metrics) -> dict[str, float]:
    """Metrics under one name each, as MLflow shows them, without those that were not measured.

    Returns:
        `method.target.metric`, and `method.target.metric/open_set` for one open set.
    """
    named: dict[str, float] = {}
    for method, targets in metrics.items():
        for target, numbers in targets.items():
            blocks = {"": numbers, **{f"/{name}": block for name, block in numbers.get(BY_OPEN_SET, {}).items()}}
            named |= {
                f"{method}.{target}.{metric}{suffix}": float(value)
                for suffix, block in blocks.items()
                for metric, value in block.items()
                if isinstance(value, int | float)
            }
    return named


def by_accuracy(metrics: Metrics) -> list[str]:
    """Methods, the most accurate first; those without a mean last, else in the order given."""

    def worst_last(method: str) -> float:
        value = numbers_of(metrics, method).get("accuracy")
        return math.inf if value is None else -value

    return sorted(metrics, key=worst_last)


def targets_of(metrics: Metrics) -> list[str]:
    """The targets of all methods, as `ordered_targets` orders them."""
    return ordered_targets(target for targets in metrics.values() for target in targets)


def ordered_targets(targets: Iterable[str]) -> list[str]:
    """All held-out domains, sorted, MEAN last; IN_DISTRIBUTION alone where none was held out."""
    names = set(targets) - {MEAN}
    return [IN_DISTRIBUTION] if names == {IN_DISTRIBUTION} else [*sorted(names), MEAN]


def held_out(metrics: Metrics) -> bool:
    """Whether the numbers are about held-out domains, and not about unseen images of the training domains."""
    return targets_of(metrics) != [IN_DISTRIBUTION]


def measured(metrics: Metrics, metric: str) -> bool:
    """Whether any method has a mean of it."""
    return any(numbers_of(metrics, method).get(metric) is not None for method in metrics)


def measured_open_sets(metrics: Metrics) -> list[str]:
    """The open sets that some method was measured on: the domains' own unknown classes first, then pools by name."""
    names = {
        name
        for method in metrics
        for name, block in numbers_of(metrics, method).get(BY_OPEN_SET, {}).items()
        if block.get("auroc") is not None
    }
    return sorted(names, key=unknown_classes_first)


def unknown_classes_first(open_set: str) -> tuple[bool, str]:
    """Sorts open sets: the domains' own unknown classes, then pools by name."""
    return open_set != UNKNOWN_CLASSES, open_set
