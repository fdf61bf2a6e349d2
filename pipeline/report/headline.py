"""What the numbers say, in sentences that follow from them: who wins, by how much, and whether that is certain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evaluation.difference import Difference
from pipeline.evaluation.results import Metrics, held_out, measured_open_sets, numbers_of
from pipeline.report.tables import Column, best_methods
from pipeline.report.wording import called, measured_in, plus_minus, points, tested_on, with_interval, with_spread

UNTRAINED = "zero-shot"
"""The method of params.yaml that training has to beat."""


@dataclass(frozen=True)
class Headline:
    """First lines of the report.

    Attributes:
        winner: who is the most accurate.
        answers: whether the deployed method beats UNTRAINED, one sentence for each metric; none where it was not
            evaluated, or is deployed itself.
        open_set: how well unknown images are told from known ones.
    """

    winner: str
    answers: list[str]
    open_set: str


def headline(metrics: Metrics, deployed: str, differences: Sequence[Difference]) -> Headline:
    """Sentences on the deployed method against the others.

    Args:
        metrics: content of metrics.json.
        deployed: the method whose fit on all domains is exported.
        differences: of the deployed method against each other one, in one or more metrics.
    """
    answers = [item for item in differences if item.reference == UNTRAINED]
    return Headline(
        _unbroken(_winner(metrics, deployed, [item for item in differences if item.metric == "accuracy"])),
        [_unbroken(_answer(item, tested_on(metrics))) for item in answers],
        _unbroken(_open_set(metrics, deployed)),
    )


def _unbroken(sentence: str) -> str:
    """No line break inside a number with its spread and unit."""
    return sentence.replace(" ± ", "\u00a0±\u00a0").replace(" %", "\u00a0%")


def _winner(metrics: Metrics, deployed: str, differences: Sequence[Difference]) -> str:
    numbers = numbers_of(metrics, deployed)
    where = f"on {tested_on(metrics)}"
    if numbers.get("accuracy") is None:
        everywhere = "on every held-out domain" if held_out(metrics) else where
        return f"{deployed} is deployed, but it has no accuracy {everywhere}: a fit is missing or diverged."
    accuracy = f"{with_spread(numbers, 'accuracy')} %"
    better = [item.reference for item in differences if item.verdict == "worse"]
    worse = [item.reference for item in differences if item.verdict == "better"]
    if better:
        return f"{deployed} is deployed, but {_and(better)} {_is(better)} more accurate {where}."
    if len(worse) == len(differences) and worse:
        return f"{deployed} is deployed, and it is the most accurate {where}: {accuracy}."
    best = sorted(best_methods(metrics, Column("", "accuracy")))
    if deployed in best:
        return f"{deployed} is deployed; it is the most accurate {where} ({accuracy}), though not clearly."
    return f"{deployed} is deployed; {_and(best)} {_is(best)} more accurate {where}, though not clearly."


def _answer(item: Difference, where: str) -> str:
    """Does it beat the untrained method where the domain, or the class, is new?"""
    beats, loses = {
        "accuracy": (f"beats {item.reference} on {where}", f"does worse than {item.reference} on {where}"),
        "auroc": (
            f"tells unknown images from known ones better than {item.reference}",
            f"tells unknown images from known ones worse than {item.reference}",
        ),
    }[item.metric]
    if not math.isfinite(item.value):
        return f"Whether {item.method} {beats} was not measured: a fit is missing or diverged."
    opening = {
        "better": f"{item.method} {beats}",
        "worse": f"{item.method} {loses}",
        "unclear": f"It is not clear that {item.method} {beats}",
    }[item.verdict]
    return f"{opening}: {_numbers(item)}."


def _numbers(item: Difference) -> str:
    spread = plus_minus(item.spread, item.seeds)
    interval = f"95 % interval {points(item.low)} to {points(item.high)} over images"
    return f"{measured_in(item.metric)} {points(item.value)} points ({interval}{f', {spread}' if spread else ''})"


def _open_set(metrics: Metrics, deployed: str) -> str:
    numbers = numbers_of(metrics, deployed)
    if numbers.get("auroc") is None:
        return "Open-set detection was not measured: there is no unknown class and no open set."
    sets = measured_open_sets(metrics)
    auroc = f"AUROC {with_interval(numbers, 'auroc')}"
    best = sorted(best_methods(metrics, Column("", "auroc")))
    place = "the best of all methods"
    if deployed not in best:
        place = f"the best is {_and(best)} with {with_spread(numbers_of(metrics, best[0]), 'auroc')} %"
    if len(sets) < 2:
        unknown = "unknown classes" if not sets else called(sets[0])
        return f"Telling {unknown} from known ones: {auroc}; {place}."
    each = ", ".join(
        f"{called(name)} {with_interval(numbers_of(metrics, deployed, open_set=name), 'auroc')}" for name in sets
    )
    overall = f"Telling {len(sets)} open sets from known classes: {auroc} on average; {place}."
    return f"{overall} {deployed} by open set: {each}."


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
