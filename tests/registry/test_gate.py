"""The gate's arithmetic and words, on numbers chosen by hand."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pipeline.errors import GateError
from pipeline.registry.gate import Check, GateFacts, Verdict, absolute, facts
from pipeline.tables import IN_DISTRIBUTION

BASE = GateFacts(0.80, 0.70, 0.75, True, ("one", "two"), ("chalk", "ink"), "d1", 2)


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.passed]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"parity": False}, ["parity"]),
        ({"reference_accuracy": 0.81}, ["gain"]),
        ({"reference_accuracy": None}, []),
        ({"accuracy": 0.70, "parity": False}, ["parity", "gain"]),
    ],
)
def test_what_must_hold_of_a_version_alone(change: dict[str, object], expected: list[str]) -> None:
    assert failed(absolute(dataclasses.replace(BASE, **change), 0.0)) == expected


def test_gain_limit_may_be_raised() -> None:
    assert not failed(absolute(BASE, 0.05))  # 0.80 - 0.75
    assert failed(absolute(BASE, 0.06)) == ["gain"]


def test_without_a_held_out_domain_the_sentences_say_so() -> None:
    version = dataclasses.replace(BASE, targets=(IN_DISTRIBUTION,))
    assert "accuracy on unseen images 0.8000" in absolute(version, 0.0)[1].sentence


def test_a_verdict_fits_a_tag_whatever_was_written() -> None:
    checks = tuple(Check("accuracy", True, "x" * 300) for _ in range(20))
    verdict = Verdict(True, checks, reason="because " * 500, table={"markdown": "y" * 9000})
    content = json.loads(verdict.to_json())
    assert len(verdict.to_json()) <= 5000
    assert "table" not in content
    assert [passed for _, passed, _ in content["reasons"]] == [True] * 20
    assert json.loads(Verdict(True, checks[:1]).to_json())["reasons"][0][2] == "x" * 300


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
