"""Paired differences between methods."""

from __future__ import annotations

import pytest
from scipy.stats import multinomial

from pipeline.evaluation.compare import Difference, difference
from pipeline.tables import TEST_SHIFTED


def rows(method: str, right: list[int], target: str = "a", seeds: tuple[int, ...] = (1,), images: int = 200) -> list:
    return [
        (method, target, seed, f"{target}/{i:04}", TEST_SHIFTED, 0, 0 if i in right else 1, 0.0)
        for seed in seeds
        for i in range(images)
    ]


def test_a_method_does_not_differ_from_its_copy(table_of) -> None:
    right = list(range(0, 200, 3))
    found = difference(table_of(rows("m", right) + rows("copy", right)), "m", "copy", bootstrap=200)
    assert (found.value, found.low, found.high, found.verdict) == (0.0, 0.0, 0.0, "unclear")


def test_interval_is_that_of_paired_images(table_of) -> None:
    # 100 of 200 images are right for both; 30 more for m alone, 10 for n alone: the difference is 20/200, and a
    # resample draws (30, 10, 160) out of 200 with those shares.
    scores = table_of(rows("m", list(range(130))) + rows("n", [*range(100), *range(130, 140)]))
    found = difference(scores, "m", "n", bootstrap=20_000)
    draws = multinomial(200, [30 / 200, 10 / 200, 160 / 200]).rvs(100_000, random_state=0)
    gains = sorted((draws[:, 0] - draws[:, 1]) / 200)
    assert found.value == pytest.approx(0.1)
    assert found.low == pytest.approx(gains[2500], abs=0.006)
    assert found.high == pytest.approx(gains[97500], abs=0.006)
    assert found.verdict == "better"
    assert difference(scores, "n", "m", bootstrap=1000).verdict == "worse"


def test_compares_on_the_seeds_that_both_have(table_of) -> None:
    scores = table_of(rows("m", list(range(100)), seeds=(1, 2)) + rows("n", list(range(50)), seeds=(2, 3)))
    assert difference(scores, "m", "n", bootstrap=100).value == pytest.approx(0.25)


def test_a_missing_domain_makes_it_incomparable(table_of) -> None:
    scores = table_of(rows("m", [1]) + rows("n", [1]) + rows("m", [1], target="b"))
    found = difference(scores, "m", "n", bootstrap=100)
    assert found.value != found.value
    assert found.verdict == "unclear"


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.1, 0.3, "better"), (-0.3, -0.1, "worse"), (-0.1, 0.1, "unclear")]
)
def test_verdict_follows_the_interval(low: float, high: float, verdict: str) -> None:
    assert Difference("m", "n", (low + high) / 2, low, high).verdict == verdict
