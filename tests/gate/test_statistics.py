"""Bounds against arithmetic by hand, against scipy.stats, and against what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.gate.statistics import Effect, effect, quantile, spent


def test_the_squares_of_two_bounds_are_added() -> None:
    # Images: resamples 0.1 and 0.3, variance 0.02. Seeds: 0.1, 0.2, 0.3, variance 0.01, of the mean 0.01 / 3.
    found = effect(np.array([0.2, 0.1, 0.3, np.nan]), np.array([0.1, 0.2, 0.3]), groups=101)
    assert found.gain == 0.2
    assert (found.images, found.training) == pytest.approx((math.sqrt(0.02), math.sqrt(0.01 / 3)))
    reach = math.sqrt(stats.t.ppf(0.95, 100) ** 2 * 0.02 + stats.t.ppf(0.95, 2) ** 2 * 0.01 / 3)
    assert found.low(0.05) == pytest.approx(0.2 - reach)
    assert found.high(0.05) == pytest.approx(0.2 + reach)


def test_one_seed_says_nothing() -> None:
    found = effect(np.array([0.2, 0.1, 0.3]), np.array([0.2]), groups=10)
    assert (found.low(0.05), found.high(0.05), found.detectable(0.05)) == (-math.inf, math.inf, math.inf)


def test_no_variance_at_all_is_certainty() -> None:
    found = effect(np.zeros(5), np.zeros(3), groups=10)
    assert (found.low(0.01), found.high(0.01), found.detectable(0.01)) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("freedom", [2.0, 7.5, math.inf])
def test_quantiles_are_those_of_scipy_stats(freedom: float) -> None:
    assert quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom))


def test_the_error_rates_of_all_gates_sum_to_the_whole() -> None:
    rates = [spent(0.05, gate) for gate in range(1, 100_001)]
    assert rates == sorted(rates, reverse=True)
    assert 0.04999 < sum(rates) < 0.05


def test_an_equal_version_is_shown_to_be_no_worse_by_the_detectable_margin_four_times_in_five() -> None:
    rng, error = np.random.default_rng(0), 0.01

    def found(gain: float) -> Effect:
        return Effect(gain, error, 0.0, groups=10**6, seeds=3)

    margin = found(0.0).detectable(0.05)
    passed = np.mean([found(gain).low(0.05) >= -margin for gain in rng.normal(0, error, 20_000)])
    assert passed == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("training", [0.0, 0.01, 0.1, 1.0])  # of which images have 0.1
@pytest.mark.parametrize("alpha", [0.05, 0.002])
def test_bounds_miss_the_truth_no_oftener_than_they_promise(training: float, alpha: float) -> None:
    rng, missed = np.random.default_rng(0), 0
    for _ in range(10_000):
        by_seed = 0.1 + rng.normal(0, 0.1) + rng.normal(0, training * math.sqrt(3), 3)
        found = Effect(float(by_seed.mean()), 0.1, float(by_seed.std(ddof=1)) / math.sqrt(3), groups=1000, seeds=3)
        missed += found.low(alpha) > 0.1
    assert missed <= 10_000 * alpha + 3 * math.sqrt(10_000 * alpha)
