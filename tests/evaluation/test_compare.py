"""Paired differences between methods."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multinomial

from pipeline.evaluation.bootstrap import drawn, key_of
from pipeline.evaluation.compare import WORST, difference, level
from pipeline.evaluation.difference import Difference
from pipeline.evaluation.resampled import resampled
from pipeline.tables import TEST_SHIFTED, TEST_UNKNOWN


def rows(method: str, right: list[int], target: str = "a", seeds: tuple[int, ...] = (1,), images: int = 200) -> list:
    return [
        (method, target, seed, f"{target}/{i:04}", TEST_SHIFTED, 0, 0 if i in right else 1, 0.0)
        for seed in seeds
        for i in range(images)
    ]


def detected(method: str, known: list[float], unknown: list[float], target: str = "a", seed: int = 1) -> list:
    return [
        *((method, target, seed, f"{target}/k{i}", TEST_SHIFTED, 0, 0, score) for i, score in enumerate(known)),
        *((method, target, seed, f"{target}/u{i}", TEST_UNKNOWN, -1, 0, score) for i, score in enumerate(unknown)),
    ]


def between(scores, metric: str, method: str, reference: str, resamples: int = 200) -> Difference:
    measured = "accuracy" if metric == WORST else metric
    return difference(resampled(scores, (measured,), resamples=resamples), metric, method, reference)


def test_a_method_does_not_differ_from_its_copy(table_of) -> None:
    right = list(range(0, 200, 3))
    found = between(table_of(rows("m", right) + rows("copy", right)), "accuracy", "m", "copy")
    assert (found.value, found.low, found.high, found.verdict) == (0.0, 0.0, 0.0, "unclear")


def test_interval_is_that_of_paired_images(table_of) -> None:
    # 100 of 200 images are right for both; 30 more for m alone, 10 for n alone: the difference is 20/200, and a
    # resample draws (30, 10, 160) out of 200 with those shares.
    scores = table_of(rows("m", list(range(130))) + rows("n", [*range(100), *range(130, 140)]))
    found = between(scores, "accuracy", "m", "n", 20_000)
    draws = multinomial(200, [30 / 200, 10 / 200, 160 / 200]).rvs(100_000, random_state=0)
    gains = sorted((draws[:, 0] - draws[:, 1]) / 200)
    assert found.value == pytest.approx(0.1)
    assert found.low == pytest.approx(gains[2500], abs=0.006)
    assert found.high == pytest.approx(gains[97500], abs=0.006)
    assert found.verdict == "better"
    assert between(scores, "accuracy", "n", "m", 1000).verdict == "worse"


def test_auroc_by_hand(table_of) -> None:
    # m: 3 beats both known images, 1.5 beats one: 3 of 4. n: 3 beats both, 0 ties with one: 2.5 of 4.
    scores = table_of(detected("m", [1.0, 2.0], [3.0, 1.5]) + detected("n", [0.0, 2.0], [3.0, 0.0]))
    found = between(scores, "auroc", "m", "n", 2000)
    assert found.value == pytest.approx((3 - 2.5) / 4)
    # The known images drawn: both, or one of them twice; the same for the unknown ones. m beats n by 1 for the pair
    # (first known, second unknown), whose score ties for n, by 0.5 of it, and nowhere else.
    first = next(drawn(np.arange(2), 2000, key=key_of(0, "a"), block=2000))[0] / 2
    second = next(drawn(np.arange(2), 2000, key=key_of(1, "a"), block=2000))[1] / 2
    assert [found.low, found.high] == pytest.approx(np.quantile(0.5 * first * second, [0.025, 0.975]))


def test_auroc_is_averaged_over_domains_and_its_spread_is_over_seeds(table_of) -> None:
    # Differences by (domain, seed): a 1/2 and 1, b 0 and 1/2. Seeds: 1/4 and 3/4, mean 1/2, spread sqrt(2)/4.
    values = {("a", 1): [1.0, -1.0], ("a", 2): [1.0, 1.0], ("b", 1): [-1.0, -1.0], ("b", 2): [1.0, -1.0]}
    scores = [row for (target, seed), unknown in values.items() for row in detected("m", [0.0], unknown, target, seed)]
    scores += [row for target, seed in values for row in detected("n", [0.0], [-1.0, -1.0], target, seed)]
    found = between(table_of(scores), "auroc", "m", "n")
    assert (found.value, found.seeds) == (pytest.approx(1 / 2), 2)
    assert found.spread == pytest.approx(math.sqrt(2) / 4)


def test_the_worst_domain_is_each_methods_own(table_of) -> None:
    # m: 3/4 and 1/4, worst 1/4. n: 1/4 and 2/4, worst 1/4 too, although n loses on a and wins on b.
    right = {("m", "a"): 3, ("m", "b"): 1, ("n", "a"): 1, ("n", "b"): 2}
    scores = table_of([row for (m, t), count in right.items() for row in rows(m, list(range(count)), t, images=4)])
    found = between(scores, WORST, "m", "n")
    assert (found.value, found.metric, found.verdict) == (0.0, WORST, "unclear")
    table = resampled(scores, ("accuracy",), resamples=10)
    assert level(table, WORST, "m") == 0.25
    assert level(table, "accuracy", "n") == 3 / 8
    assert math.isnan(level(table, "auroc", "n"))


def test_compares_on_the_seeds_that_both_have(table_of) -> None:
    scores = table_of(rows("m", list(range(100)), seeds=(1, 2)) + rows("n", list(range(50)), seeds=(2, 3)))
    found = between(scores, "accuracy", "m", "n")
    assert (found.value, found.seeds) == (pytest.approx(0.25), 1)
    assert math.isnan(found.spread)


def test_a_missing_domain_makes_it_incomparable(table_of) -> None:
    scores = table_of(rows("m", [1]) + rows("n", [1]) + rows("m", [1], target="b"))
    for metric in ("accuracy", WORST, "auroc"):
        found = between(scores, metric, "m", "n")
        assert math.isnan(found.value)
        assert found.verdict == "unclear"


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.1, 0.3, "better"), (-0.3, -0.1, "worse"), (-0.1, 0.1, "unclear")]
)
def test_verdict_follows_the_interval(low: float, high: float, verdict: str) -> None:
    def of(metric: str) -> str:
        return Difference(metric, "m", "n", (low + high) / 2, low, high, 0.0, 3).verdict

    assert of("accuracy") == of("auroc") == of(WORST) == verdict
    opposite = {"better": "worse", "worse": "better", "unclear": "unclear"}[verdict]
    assert of("fpr95_id_positive") == of("fpr95_ood_positive") == opposite
