"""What the numbers say, in sentences that follow from them: who wins, by how much, and whether that is certain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evaluation.compare import Difference
from pipeline.report.wording import Metrics, best, called, cell, held_out, open_sets, points, tested_on
from pipeline.tables import MEAN


@dataclass(frozen=True)
class Headline:
    """First lines of the report: one sentence on who wins, one on each comparison, one on open-set detection."""

    winner: str
    comparisons: list[str]
    open_set: str


def headline(metrics: Metrics, deployed: str, differences: Sequence[Difference]) -> Headline:
    """Sentences on the deployed method against the others.

    Args:
        metrics: {method: {target: {column: value}}}.
        deployed: the method whose fit on all domains is exported.
        differences: of the deployed method against each other one.
    """
    return Headline(
        _solid(_winner(metrics, deployed, differences)),
        [_solid(_comparison(item)) for item in differences],
        _solid(_open_set(metrics, deployed)),
    )


def _solid(sentence: str) -> str:
    """No line break inside a number with its spread and unit."""
    return sentence.replace(" ± ", "\u00a0±\u00a0").replace(" %", "\u00a0%")


def _winner(metrics: Metrics, deployed: str, differences: Sequence[Difference]) -> str:
    if metrics.get(deployed, {}).get(MEAN, {}).get("accuracy") is None:
        there = "on every held-out domain" if held_out(metrics) else f"on {tested_on(metrics)}"
        return f"{deployed} is deployed, but it has no accuracy {there}: a fit is missing or diverged."
    where = f"on {tested_on(metrics)}"
    own = f"{cell(metrics, deployed, MEAN, 'accuracy')} %"
    best_methods = best(metrics, MEAN, "accuracy")
    better = [item.reference for item in differences if item.verdict == "worse"]
    worse = [item.reference for item in differences if item.verdict == "better"]
    if better:
        return f"{deployed} is deployed, but {_and(better)} {_is(better)} more accurate {where}."
    if len(worse) == len(differences) and worse:
        return f"{deployed} is deployed, and it is the most accurate {where}: {own}."
    if deployed in best_methods:
        return f"{deployed} is deployed; it is the most accurate {where} ({own}), though not clearly."
    top = sorted(best_methods)
    return f"{deployed} is deployed; {_and(top)} {_is(top)} more accurate {where}, though not clearly."


def _comparison(item: Difference) -> str:
    if not math.isfinite(item.value):
        return f"Against {item.reference}: not comparable, since a fit is missing or diverged."
    meaning = {
        "better": "better",
        "worse": "worse",
        "unclear": "these test images cannot tell the two apart",
    }[item.verdict]
    if item.value == item.low == item.high == 0:
        meaning = "the same on every resample"
    numbers = f"{points(item.value)} points, 95 % interval {points(item.low)} to {points(item.high)}"
    return f"Against {item.reference}: {numbers}; {meaning}."


def _open_set(metrics: Metrics, deployed: str) -> str:
    value = metrics.get(deployed, {}).get(MEAN, {}).get("auroc")
    if value is None:
        return "Open-set detection was not measured: there is no unknown class and no open set."
    sets = open_sets(metrics)
    own = f"AUROC {cell(metrics, deployed, MEAN, 'auroc')} %"
    top = sorted(best(metrics, MEAN, "auroc"))
    place = (
        "the best of all methods" if deployed in top else f"the best is {_and(top)} with {_auroc(metrics, top[0])} %"
    )
    if len(sets) < 2:
        what = "unknown classes" if not sets else called(sets[0])
        return f"Telling {what} from known ones: {own}; {place}."
    each = ", ".join(f"{called(name)} {cell(metrics, deployed, MEAN, f'auroc/{name}')} %" for name in sets)
    return (
        f"Telling {len(sets)} open sets from known classes: {own} in the mean; {place}. {deployed} by open set: {each}."
    )


def _auroc(metrics: Metrics, method: str) -> str:
    return cell(metrics, method, MEAN, "auroc")


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
