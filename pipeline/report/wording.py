"""How numbers are written and what they are called, in the terminal and in the report. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pipeline.tables import IN_DISTRIBUTION, MEAN, UNKNOWN_CLASSES

Numbers = Mapping[str, float | int | None]
Metrics = Mapping[str, Mapping[str, Numbers]]
"""{method: {target: {column: value}}}, as in metrics.json."""

NONE = "–"
SPREAD = "± standard deviation over {seeds} seeds"
OPEN_SET = {
    "auroc": ("AUROC", "chance that an unknown image scores above a known one; 50 % is guessing"),
    "fpr95_id_positive": ("FPR95, ID positive", "unknown images accepted when 95 % of the known ones are accepted"),
    "fpr95_ood_positive": ("FPR95, OOD positive", "known images rejected when 95 % of the unknown ones are rejected"),
}
HIGHER_IS_BETTER = {"auroc": True, "fpr95_id_positive": False, "fpr95_ood_positive": False}


def percent(value: float | int | None, spread: float | int | None = None) -> str:
    """`84.1 ± 0.6`: percent from shares of 0 to 1; a dash where there is no value, no ± where there is no spread."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{100 * value:.1f}"
    return text if spread is None or not math.isfinite(spread) else f"{text} ± {100 * spread:.1f}"


def points(value: float) -> str:
    """`+5.2`, `−0.3`: a difference of shares in percentage points."""
    if not math.isfinite(value):
        return NONE
    return f"{100 * value:+.1f}".replace("-", "−")


def spread_of(metric: str) -> str:
    """The column with a metric's standard deviation over seeds: `auroc_spread`, `auroc_spread/dtd`."""
    name, slash, open_set = metric.partition("/")
    return f"{name}_spread{slash}{open_set}"


def cell(metrics: Metrics, method: str, target: str, metric: str) -> str:
    """One metric with its spread, or a dash where it was not measured."""
    numbers = metrics[method].get(target, {})
    return percent(numbers.get(metric), numbers.get(spread_of(metric)))


def by_accuracy(metrics: Metrics) -> list[str]:
    """Methods, the most accurate first; those without a mean last, else in the order given."""

    def worst_last(method: str) -> float:
        value = metrics[method].get(MEAN, {}).get("accuracy")
        return math.inf if value is None else -value

    return sorted(metrics, key=worst_last)


def targets_of(metrics: Metrics) -> list[str]:
    """All held-out domains, sorted, MEAN last; IN_DISTRIBUTION alone where none was held out."""
    names = {target for of_method in metrics.values() for target in of_method} - {MEAN}
    return [IN_DISTRIBUTION] if names == {IN_DISTRIBUTION} else [*sorted(names), MEAN]


def held_out(metrics: Metrics) -> bool:
    """Whether the numbers are about held-out domains, and not about unseen images of the training domains."""
    return targets_of(metrics) != [IN_DISTRIBUTION]


def tested_on(metrics: Metrics) -> str:
    """What the numbers are about, as it stands in sentences after "on"."""
    return "held-out domains" if held_out(metrics) else "unseen images of the training domains"


def open_sets(metrics: Metrics) -> list[str]:
    """The open sets that some method was measured on: the domains' own unknown classes first, then pools by name."""
    names = {
        key.split("/", 1)[1]
        for of_method in metrics.values()
        for key, value in of_method.get(MEAN, {}).items()
        if key.startswith("auroc/") and value is not None
    }
    return sorted(names, key=lambda name: (name != UNKNOWN_CLASSES, name))


def called(open_set: str) -> str:
    """An open set as it stands in sentences."""
    return "unknown classes" if open_set == UNKNOWN_CLASSES else open_set


def best(metrics: Metrics, target: str, metric: str, *, higher: bool = True) -> set[str]:
    """The methods whose printed number is the best of a column; none when nothing was measured."""
    values = {method: of_method.get(target, {}).get(metric) for method, of_method in metrics.items()}
    shown = {method: round(100 * value, 1) for method, value in values.items() if value is not None}
    if not shown:
        return set()
    top = max(shown.values()) if higher else min(shown.values())
    return {method for method, value in shown.items() if value == top}
