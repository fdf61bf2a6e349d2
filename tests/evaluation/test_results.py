"""What can be read off metrics.json."""

from __future__ import annotations

from pipeline.evaluation.results import (
    by_accuracy,
    flat,
    held_out,
    measured,
    measured_open_sets,
    numbers_of,
    targets_of,
)
from pipeline.tables import IN_DISTRIBUTION

METRICS = {
    "low": {
        "ink": {"n": 4, "accuracy": 0.5, "accuracy_spread": None},
        "mean": {"accuracy": 0.5, "auroc": 0.7, "open_sets": {"tex": {"auroc": 0.75, "auroc_spread": 0.1}}},
    },
    "lost": {"mean": {"accuracy": None, "open_sets": {"art": {"auroc": None}}}},
    "high": {
        "mean": {"accuracy": 0.9, "open_sets": {"art": {"auroc": 0.6}, "classes": {"auroc": 0.8, "n_unknown": 3}}}
    },
}


def test_numbers_have_one_name_each_for_the_tracker() -> None:
    assert flat(METRICS) == {
        "low.ink.n": 4.0,
        "low.ink.accuracy": 0.5,
        "low.mean.accuracy": 0.5,
        "low.mean.auroc": 0.7,
        "low.mean.auroc/tex": 0.75,
        "low.mean.auroc_spread/tex": 0.1,
        "high.mean.accuracy": 0.9,
        "high.mean.auroc/art": 0.6,
        "high.mean.auroc/classes": 0.8,
        "high.mean.n_unknown/classes": 3.0,
    }
    assert all(type(value) is float for value in flat(METRICS).values())


def test_methods_domains_and_open_sets_have_an_order() -> None:
    assert by_accuracy(METRICS) == ["high", "low", "lost"]
    assert targets_of(METRICS) == ["ink", "mean"]
    assert measured_open_sets(METRICS) == ["classes", "art", "tex"]


def test_what_was_not_measured_is_empty() -> None:
    assert numbers_of(METRICS, "low", open_set="tex")["auroc"] == 0.75
    assert numbers_of(METRICS, "low", "ink", "tex") == {}
    assert numbers_of(METRICS, "none") == numbers_of(METRICS, "low", "oil") == {}
    assert measured(METRICS, "auroc")
    assert not measured(METRICS, "auroc_id")


def test_without_a_held_out_domain_there_is_one_target() -> None:
    alone = {"m": {IN_DISTRIBUTION: {"accuracy": 0.5}, "mean": {"accuracy": 0.5}}}
    assert targets_of(alone) == [IN_DISTRIBUTION]
    assert not held_out(alone)
    assert held_out(METRICS)
