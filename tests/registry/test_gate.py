"""The gate's arithmetic and words, on numbers chosen by hand."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pipeline.errors import GateError
from pipeline.registry.gate import GateFacts, Verdict, facts, judge

BASE = GateFacts(0.80, 0.70, 0.75, True, ("one", "two"), ("chalk", "ink"), "d1")


def ask(candidate: GateFacts, champion: GateFacts | None, gain: float = 0.0) -> Verdict:
    return judge(candidate, champion, max_accuracy_drop=0.01, max_auroc_drop=0.02, min_gain_over_zero_shot=gain)


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.reasons if not check.passed]


def test_the_first_version_passes_and_says_why() -> None:
    verdict = ask(BASE, None)
    assert verdict.passed
    assert verdict.reasons[-1].sentence == "first version: no champion to compare with"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"accuracy": 0.79}, []),  # a drop of exactly 0.01 is allowed
        ({"accuracy": 0.7899}, ["accuracy"]),
        ({"auroc": 0.68}, []),
        ({"auroc": 0.6799}, ["auroc"]),
        ({"auroc": None}, ["auroc"]),
        ({"parity": False}, ["parity"]),
        ({"reference_accuracy": 0.81}, ["gain"]),
        ({"reference_accuracy": None}, []),
        ({"accuracy": 0.70, "auroc": 0.1, "parity": False}, ["parity", "gain", "accuracy", "auroc"]),
        ({"classes": ("one", "three")}, ["comparable"]),
        ({"targets": ("chalk",)}, ["comparable"]),
        ({"data": "d2"}, []),
    ],
)
def test_against_a_champion(change: dict[str, object], expected: list[str]) -> None:
    verdict = ask(dataclasses.replace(BASE, **change), BASE)
    assert failed(verdict) == expected
    assert verdict.passed == (not expected)


def test_a_drop_of_exactly_the_limit_passes_whatever_its_last_bit() -> None:
    # Of all pairs of whole percents, those where x - d > x - d "by rounding" would be refused by a plain comparison.
    pairs = [(i, d) for i in range(10, 100) for d in range(1, 10) if i / 100 - d / 100 > (i - d) / 100]
    assert pairs
    for percent, drop in pairs:
        candidate, champion = (
            dataclasses.replace(BASE, accuracy=value / 100, reference_accuracy=None)
            for value in (percent - drop, percent)
        )
        assert judge(
            candidate, champion, max_accuracy_drop=drop / 100, max_auroc_drop=0.0, min_gain_over_zero_shot=0.0
        ).passed


def test_gain_limit_may_be_raised() -> None:
    assert ask(BASE, None, gain=0.05).passed  # 0.80 - 0.75
    assert failed(ask(BASE, None, gain=0.06)) == ["gain"]


def test_sentences_name_the_numbers_and_what_differs() -> None:
    verdict = ask(dataclasses.replace(BASE, accuracy=0.7), BASE)
    sentence = next(check.sentence for check in verdict.reasons if check.name == "accuracy")
    assert sentence == ("accuracy on held-out domains 0.7000, champion 0.8000: -0.1000, a drop of 0.0100 is allowed")
    other = ask(dataclasses.replace(BASE, targets=()), BASE).reasons[-1].sentence
    assert other == "not comparable: held-out domains are none; the champion's are chalk, ink"
    changed = ask(dataclasses.replace(BASE, data="d2"), BASE).reasons
    assert "another version of the data" in next(check.sentence for check in changed if check.name == "comparable")


def test_facts_come_from_the_mean_row_and_survive_a_tag() -> None:
    metrics = {
        "zero-shot": {"mean": {"accuracy": 0.7, "auroc": None}},
        "croft": {"ink": {"accuracy": 0.1}, "mean": {"accuracy": 0.8, "auroc": None}},
    }
    found = facts(
        metrics, method="croft", reference="zero-shot", classes=("b", "a"), targets=("y", "x"), parity=True, data="h"
    )
    assert found == GateFacts(0.8, None, 0.7, True, ("a", "b"), ("x", "y"), "h")
    assert GateFacts.from_json(found.to_json()) == found


@pytest.mark.parametrize("metrics", [{}, {"croft": {}}, {"croft": {"mean": {"accuracy": None}}}])
def test_facts_without_an_accuracy_are_refused(metrics: dict[str, object]) -> None:
    with pytest.raises(GateError, match="no mean accuracy of 'croft'"):
        facts(metrics, method="croft", reference="zero-shot", classes=(), targets=(), parity=True)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"accuracy": 1})])
def test_unreadable_facts_are_refused(text: str) -> None:
    with pytest.raises(GateError, match="register the model again"):
        GateFacts.from_json(text)
