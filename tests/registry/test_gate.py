"""The gate's arithmetic and words, on numbers chosen by hand."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pipeline.errors import GateError
from pipeline.params import Promote
from pipeline.registry.gate import GateFacts, Verdict, facts, judge
from pipeline.tables import IN_DISTRIBUTION

BASE = GateFacts(0.80, 0.70, 0.75, True, ("one", "two"), ("chalk", "ink"), "d1", 2)


def ask(candidate: GateFacts, champion: GateFacts | None, gain: float = 0.0) -> Verdict:
    limits = Promote(max_accuracy_drop=0.01, max_auroc_drop=0.02, min_gain_over_zero_shot=gain)
    return judge(candidate, champion, limits)


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
        ({"known_classes": 1}, ["comparable"]),
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
        assert judge(candidate, champion, Promote(max_accuracy_drop=drop / 100, max_auroc_drop=0.0)).passed


def test_gain_limit_may_be_raised() -> None:
    assert ask(BASE, None, gain=0.05).passed  # 0.80 - 0.75
    assert failed(ask(BASE, None, gain=0.06)) == ["gain"]


def test_sentences_name_the_numbers_and_what_differs() -> None:
    verdict = ask(dataclasses.replace(BASE, accuracy=0.7), BASE)
    sentence = next(check.sentence for check in verdict.reasons if check.name == "accuracy")
    assert sentence == ("accuracy on held-out domains 0.7000, champion 0.8000: -0.1000, a drop of 0.0100 is allowed")
    other = ask(dataclasses.replace(BASE, targets=()), BASE).reasons[-1].sentence
    assert other == "not comparable: its held-out domains: none; the champion's: chalk, ink"
    changed = ask(dataclasses.replace(BASE, data="d2"), BASE).reasons
    assert "another version of the data" in next(check.sentence for check in changed if check.name == "comparable")


def test_auroc_is_compared_on_the_open_sets_of_both() -> None:
    champion = dataclasses.replace(BASE, open_sets=(("classes", 0.6), ("dtd", 0.8)))
    # A new and easier set lifts the mean; on the two that both have, 0.64 is 0.06 less than 0.70.
    candidate = dataclasses.replace(BASE, auroc=0.75, open_sets=(("classes", 0.58), ("dtd", 0.70), ("noise", 0.97)))
    verdict = ask(candidate, champion)
    assert failed(verdict) == ["auroc"]
    assert verdict.reasons[-1].sentence == (
        "AUROC on the common open sets (classes, dtd) 0.6400, champion 0.7000: -0.0600, a drop of 0.0200 is allowed"
    )
    kept = dataclasses.replace(candidate, open_sets=(("classes", 0.59), ("dtd", 0.80)))
    assert ask(dataclasses.replace(kept, auroc=0.695), champion).passed
    alone = ask(dataclasses.replace(BASE, open_sets=(("noise", 0.97),)), champion)
    assert failed(alone) == ["auroc"]
    assert alone.reasons[-1].sentence == "not comparable: its open sets: noise; the champion's: classes, dtd"


def test_without_a_held_out_domain_the_sentences_say_so() -> None:
    version = dataclasses.replace(BASE, targets=(IN_DISTRIBUTION,))
    for check in ask(version, version).reasons:
        assert "on held-out domains" not in check.sentence
    assert any("accuracy on unseen images 0.8000" in check.sentence for check in ask(version, version).reasons)


def test_facts_come_from_the_mean_row_and_survive_a_tag() -> None:
    metrics = {
        "zero-shot": {"mean": {"accuracy": 0.7, "auroc": None}},
        "croft": {
            "ink": {"accuracy": 0.1, "open_sets": {"dtd": {"auroc": 0.2}}},
            "mean": {"accuracy": 0.8, "auroc": 0.6, "open_sets": {"dtd": {"auroc": 0.6}, "none": {"auroc": None}}},
        },
    }
    found = facts(
        metrics, method="croft", reference="zero-shot", classes=("b", "a"), targets=("y", "x"), parity=True, data="h",
        known_classes=1,
    )  # fmt: skip
    assert found == GateFacts(0.8, 0.6, 0.7, True, ("a", "b"), ("x", "y"), "h", 1, (("dtd", 0.6),))
    assert GateFacts.from_json(found.to_json()) == found


def test_metrics_and_tags_from_before_open_sets_were_nested_are_read() -> None:
    row = {"accuracy": 0.8, "auroc": 0.6, "auroc/dtd": 0.6, "auroc/none": None, "auroc_spread/dtd": 0.1}
    old = facts({"croft": {"mean": row}}, method="croft", reference="zero-shot", classes=(), targets=(), parity=True)
    assert old.open_sets == (("dtd", 0.6),)
    tag = (
        '{"accuracy": 0.8, "auroc": 0.6, "classes": ["a", "b"], "data": "h", "known_classes": 1, '
        '"open_sets": [["dtd", 0.6]], "parity": true, "reference_accuracy": 0.7, "targets": ["x", "y"]}'
    )
    assert GateFacts.from_json(tag) == GateFacts(0.8, 0.6, 0.7, True, ("a", "b"), ("x", "y"), "h", 1, (("dtd", 0.6),))
    assert GateFacts.from_json(tag).to_json() == tag


@pytest.mark.parametrize("metrics", [{}, {"croft": {}}, {"croft": {"mean": {"accuracy": None}}}])
def test_facts_without_an_accuracy_are_refused(metrics: dict[str, object]) -> None:
    with pytest.raises(GateError, match="no mean accuracy of 'croft'"):
        facts(metrics, method="croft", reference="zero-shot", classes=(), targets=(), parity=True)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"accuracy": 1})])
def test_unreadable_facts_are_refused(text: str) -> None:
    with pytest.raises(GateError, match="register the model again"):
        GateFacts.from_json(text)
