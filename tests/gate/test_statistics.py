"""Bounds against arithmetic by hand, against scipy.stats, and against what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.gate.statistics import Effect, effect, quantile, spent


def test_two_variances_are_added() -> None:
    # Images: resamples 0.1 and 0.3, variance 0.02. Seeds: 0.1, 0.2, 0.3, variance 0.01, of the mean 0.01 / 3.
    found = effect(np.array([0.2, 0.1, 0.3, np.nan]), np.array([0.1, 0.2, 0.3]), groups=101)
    total = 0.02 + 0.01 / 3
    assert found.gain == 0.2
    assert found.error == pytest.approx(math.sqrt(total))
    assert found.freedom == pytest.approx(total**2 / (0.02**2 / 100 + (0.01 / 3) ** 2 / 2))
    t = stats.t.ppf(0.95, found.freedom)
    assert found.low(0.05) == pytest.approx(0.2 - t * found.error)
    assert found.high(0.05) == pytest.approx(0.2 + t * found.error)


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
    margin = Effect(0.0, error, math.inf).detectable(0.05)
    passed = np.mean([Effect(gain, error, math.inf).low(0.05) >= -margin for gain in rng.normal(0, error, 20_000)])
    assert passed == pytest.approx(0.8, abs=0.01)


def test_bounds_miss_the_truth_as_rarely_as_they_promise() -> None:
    # A true gain of 0.1; images add noise of variance 0.01, each of 3 seeds one of 0.03: their mean has 0.01.
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(4000):
        common = rng.normal(0, 0.1)
        by_seed = 0.1 + common + rng.normal(0, math.sqrt(0.03), 3)
        resamples = by_seed.mean() + rng.normal(0, 0.1, 200)
        missed += effect(np.r_[by_seed.mean(), resamples], by_seed, groups=200).low(0.05) > 0.1
    assert missed / 4000 == pytest.approx(0.05, abs=0.015)
