"""Sentences of the headline: they may claim only what the numbers show."""

from __future__ import annotations

import math

import pytest

from pipeline.evaluation.difference import Difference
from pipeline.report.against import against_table
from pipeline.report.headline import headline
from pipeline.report.tables import Column, best_methods
from pipeline.report.wording import percent, points
from pipeline.tables import IN_DISTRIBUTION

BETTER, WORSE, UNCLEAR = (0.02, 0.01, 0.03), (-0.02, -0.03, -0.01), (0.001, -0.01, 0.01)


def against(metric: str = "accuracy", **verdicts: tuple[float, float, float]) -> list[Difference]:
    return [Difference(metric, "own", name.replace("_", "-"), *numbers, 0.004, 3) for name, numbers in verdicts.items()]


@pytest.mark.parametrize(
    ("accuracy", "differences", "expected"),
    [
        ({"own": 0.9, "x": 0.8}, against(x=BETTER), "own is deployed, and it is the most accurate"),
        ({"own": 0.8, "x": 0.9}, against(x=WORSE), "own is deployed, but x is more accurate"),
        ({"own": 0.8, "x": 0.9, "y": 0.9}, against(x=WORSE, y=WORSE), "but x and y are more accurate"),
        ({"own": 0.9, "x": 0.89, "y": 0.8}, against(x=UNCLEAR, y=BETTER), "most accurate on held-out domains (90.0"),
        ({"own": 0.89, "x": 0.9}, against(x=UNCLEAR), "x is more accurate on held-out domains, though not clearly"),
        ({"own": None, "x": 0.9}, against(x=(math.nan,) * 3), "no accuracy on every held-out domain"),
        ({"x": 0.9}, [], "no accuracy on every held-out domain"),
    ],
)
def test_says_who_wins(metrics_of, accuracy: dict, differences: list[Difference], expected: str) -> None:
    assert expected in headline(metrics_of(accuracy), "own", differences).winner


def test_an_unclear_lead_is_called_unclear(metrics_of) -> None:
    found = headline(metrics_of({"own": 0.9, "x": 0.89}), "own", against(x=UNCLEAR))
    assert "not clearly" in found.winner


def test_the_other_methods_are_a_table_with_both_uncertainties() -> None:
    differences = [*against(x=BETTER), *against("auroc", x=WORSE), *against(y=(0.0, 0.0, 0.0)), *against(z=UNCLEAR)]
    headings, rows = against_table([*differences, *against("auroc", z=(math.nan,) * 3)])
    assert headings == ["against", "accuracy, points", "verdict", "AUROC, points", "verdict"]
    three = "± 0.4 over 3 seeds"
    assert [row.cells for row in rows] == [
        ["x", f"+2.0 (+1.0 to +3.0), {three}", "better", f"−2.0 (−3.0 to −1.0), {three}", "worse"],
        ["y", f"+0.0 (+0.0 to +0.0), {three}", "identical", "–", "not comparable"],
        ["z", f"+0.1 (−1.0 to +1.0), {three}", "no clear difference", "–", "not comparable"],
    ]
    assert against_table([]) == (["against"], [])


def test_the_untrained_method_is_answered_first(metrics_of) -> None:
    def answers(*differences: Difference, domains: tuple[str, ...] = ("a", "b")) -> list[str]:
        found = headline(metrics_of({"own": 0.9, "zero-shot": 0.8}, domains), "own", differences)
        return [sentence.replace("\u00a0", " ") for sentence in found.answers]

    better = answers(*against(zero_shot=BETTER), *against("auroc", zero_shot=WORSE))
    assert better[0].startswith("own beats zero-shot on held-out domains: accuracy +2.0 points (95 % interval +1.0 to")
    assert better[1].startswith("own tells unknown images from known ones worse than zero-shot: AUROC −2.0 points (95")
    unclear = answers(*against(zero_shot=UNCLEAR), *against("auroc", zero_shot=UNCLEAR))
    assert unclear[0].startswith("It is not clear that own beats zero-shot on held-out domains: accuracy +0.1 points")
    assert unclear[1].startswith("It is not clear that own tells unknown images from known ones better than zero-shot")
    worse = answers(*against(zero_shot=WORSE), domains=(IN_DISTRIBUTION,))
    assert worse[0].startswith("own does worse than zero-shot on unseen images of the training domains: accuracy −2.0")
    lost = answers(*against(zero_shot=(math.nan,) * 3))
    assert lost == ["Whether own beats zero-shot on held-out domains was not measured: a fit is missing or diverged."]


def test_open_set_names_the_best(metrics_of) -> None:
    metrics = metrics_of({"own": 0.9, "x": 0.8}, auroc=0.7, auroc_spread=None)
    assert "best of all methods" in headline(metrics, "own", []).open_set
    metrics["x"]["mean"]["auroc"] = 0.75
    assert "the best is x with 75.0\u00a0%" in headline(metrics, "own", []).open_set
    assert "no unknown class" in headline(metrics_of({"own": 0.9}), "own", []).open_set


def test_open_sets_are_told_apart(metrics_of) -> None:
    sets = {"classes": {"auroc": 0.6}, "tex": {"auroc": 0.8}}
    metrics = metrics_of({"own": 0.9}, auroc=0.7, open_sets=sets)
    said = headline(metrics, "own", []).open_set.replace("\u00a0", " ")
    assert "2 open sets" in said
    assert "AUROC 70.0 % on average" in said
    assert "unknown classes 60.0 %, tex 80.0 %" in said


def test_without_a_held_out_domain_no_sentence_claims_one(metrics_of) -> None:
    for accuracy, differences in (({"own": 0.9, "x": 0.8}, against(x=BETTER)), ({"own": None}, [])):
        found = headline(metrics_of(accuracy, (IN_DISTRIBUTION,)), "own", differences)
        assert "held-out" not in found.winner
        assert "unseen images of the training domains" in found.winner


def test_numbers_are_written_by_one_rule() -> None:
    assert percent(0.8414, 0.0062) == "84.1 ± 0.6"
    assert percent(1.0) == "100.0"
    assert percent(0.5, None) == percent(0.5, math.nan) == "50.0"
    assert percent(None, 0.1) == percent(math.nan) == points(math.nan) == "–"
    assert (points(0.052), points(-0.003), points(0.0)) == ("+5.2", "−0.3", "+0.0")


def test_equal_printed_numbers_share_the_first_place(metrics_of) -> None:
    metrics = metrics_of({"a": 0.90001, "b": 0.9, "c": 0.89, "d": None})
    assert best_methods(metrics, Column("", "accuracy")) == {"a", "b"}
    assert best_methods(metrics, Column("", "auroc")) == set()
    metrics = metrics_of({"a": 0.5, "b": 0.5})
    metrics["a"]["mean"]["fpr95_id_positive"], metrics["b"]["mean"]["fpr95_id_positive"] = 0.2, 0.3
    assert best_methods(metrics, Column("", "fpr95_id_positive")) == {"a"}  # lower is better
