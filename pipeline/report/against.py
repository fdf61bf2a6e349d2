"""The deployed method against each other one: a table of differences, as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.evaluation.difference import Difference
from pipeline.report.chosen import Row
from pipeline.report.wording import NONE, measured_in, plus_minus, points


def against_table(differences: Sequence[Difference]) -> tuple[list[str], list[Row]]:
    """Headings and rows, a row for each other method, a difference and what it means for each metric.

    Args:
        differences: of one method, in the order of the rows; empty where it was not compared.
    """
    metrics = list(dict.fromkeys(item.metric for item in differences))
    by_reference: dict[str, dict[str, Difference]] = {}
    for item in differences:
        by_reference.setdefault(item.reference, {})[item.metric] = item
    headings = ["against", *(text for metric in metrics for text in (f"{measured_in(metric)}, points", "verdict"))]
    rows = [
        Row([reference, *(text for metric in metrics for text in _cells(items.get(metric)))])
        for reference, items in by_reference.items()
    ]
    return headings, rows


def _cells(item: Difference | None) -> tuple[str, str]:
    if item is None or not math.isfinite(item.value):
        return NONE, "not comparable"
    spread = plus_minus(item.spread, item.seeds)
    numbers = f"{points(item.value)} ({points(item.low)} to {points(item.high)}){f', {spread}' if spread else ''}"
    return numbers, _meaning(item)


def _meaning(item: Difference) -> str:
    if item.value == item.low == item.high == 0:
        return "identical"
    return "no clear difference" if item.verdict == "unclear" else item.verdict
