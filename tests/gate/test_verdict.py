"""From effects to a decision, line by line."""

from __future__ import annotations

import json
import math

import pytest

from pipeline.gate.measure import Measured
from pipeline.gate.statistics import Effect
from pipeline.gate.verdict import Comparison, counts, decide, markdown, sentence
from pipeline.params import Promote

MANY = 10**6  # groups of images: bounds at 5 % lie 1.645 errors away, detectable is 2.486 errors


def accuracy(gain: float, error: float) -> list[Measured]:
    return [Measured("accuracy", 0.7, 0.7 + gain, Effect(gain, error, math.nan if math.isnan(error) else 0.0, MANY, 3))]


@pytest.mark.parametrize(
    ("gain", "error", "status"),
    [
        (0.02, 0.01, "better"),  # 0.02 - 0.016 > 0
        (0.01, 0.01, "no worse"),  # -0.006 >= -0.02
        (-0.01, 0.001, "no worse"),  # surely lower, surely within the margin
        (-0.05, 0.01, "worse"),  # -0.05 + 0.016 < 0
        (0.0, 0.02, "underpowered"),  # -0.033; 0.050 > 0.02
        (-0.01, 0.0078, "not shown"),  # -0.0228; 0.0194 <= 0.02
        (0.0, math.nan, "underpowered"),
    ],
)
def test_a_status_for_every_case(gain: float, error: float, status: str) -> None:
    (row,), passed = decide(accuracy(gain, error), Promote(), alpha=0.05, superiority="none")
    assert row.status == status
    assert passed == (status in ("better", "no worse"))


def test_what_must_be_better_is_asked_for() -> None:
    for gain, passed in ((0.02, True), (0.01, False)):
        assert decide(accuracy(gain, 0.01), Promote(), alpha=0.05, superiority="accuracy")[1] is passed
    assert not decide(accuracy(0.02, 0.01), Promote(), alpha=0.05, superiority="auroc")[1]


def test_one_metric_that_fails_is_enough_and_none_at_all_is_no_pass() -> None:
    worse = [*accuracy(0.02, 0.01), Measured("auroc", 0.9, 0.8, Effect(-0.1, 0.01, 0.0, MANY, 3))]
    assert not decide(worse, Promote(), alpha=0.05, superiority="accuracy")[1]
    assert decide([], Promote(), alpha=0.05, superiority="none") == ((), False)


def test_where_it_is_allowed_what_is_underpowered_passes_within_the_margin() -> None:
    limits = Promote(underpowered="allow")
    assert decide(accuracy(-0.01, 0.02), limits, alpha=0.05, superiority="none")[1]
    assert not decide(accuracy(-0.025, 0.02), limits, alpha=0.05, superiority="none")[1]


def test_the_table_has_every_number() -> None:
    rows, passed = decide(accuracy(0.02, 0.01), Promote(), alpha=0.05, superiority="none")
    comparison = Comparison("champion", "3", rows, passed, (), "none", 0.05, 1000, 200, 3, ("a note",))
    table = markdown(comparison)
    assert "| accuracy | 70.00 | 72.00 | +2.00 | +0.36 to +3.64 | 2.00 | 2.49 | better |" in table
    assert "- a note" in table
    assert "1,000 known and 200 unknown images that neither version has seen (3 left out)" in counts(comparison)
    assert sentence(rows[0]) == (
        "accuracy 70.00 -> 72.00: gain +2.00 (+0.36 to +3.64), margin 2.00, smallest regression seen 2.49: better"
    )


def test_what_is_infinite_is_null_in_json() -> None:
    rows, passed = decide(accuracy(0.0, math.nan), Promote(), alpha=0.05, superiority="none")
    content = Comparison("champion", "3", rows, passed, (), "none", 0.05, 10, 2, 0, ()).to_json()
    assert content["rows"][0]["low"] is None
    json.dumps(content, allow_nan=False)
    assert "one seed, whose spread is not known" in sentence(rows[0])
