"""The gate's error rates, by simulation from a population whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.gate_simulation import (
    Results,
    broken_threshold,
    equal,
    family,
    flattened,
    less_accurate,
    outcomes,
)

DRAWS = 500


@pytest.fixture(scope="module")
def fits() -> list[Results]:
    """2 domains of 120 known and 60 unknown images, 20 seeds that differ by 4 points; unknown images score higher."""
    rng = np.random.default_rng(0)
    made = []
    for level in (0.9, 0.75):
        shared, unknown = rng.standard_normal((1, 120)), 2 + rng.standard_normal((1, 60))
        easy = rng.random((1, 120)) + 0.1 * rng.standard_normal((20, 120)) + 0.04 * rng.standard_normal((20, 1))
        score, unknown = (one + 0.3 * rng.standard_normal((20, one.shape[1])) for one in (shared, unknown))
        limit = np.quantile(score, 0.95, axis=1, keepdims=True)
        made.append(Results(easy < level, score, score > limit, unknown, unknown > limit))
    return made


def shares(fits: list[Results], plant, draws: int = DRAWS) -> pd.Series:
    return pd.DataFrame(list(outcomes(fits, fits, plant, draws=draws, resamples=100, seed=1))).mean()


@pytest.mark.slow
def test_an_equal_challenger_is_hardly_ever_promoted(fits) -> None:
    found = shares(fits, equal)
    assert found["promoted"] <= 0.05
    assert found["point rule, same images"] > 0.25  # what it replaced


@pytest.mark.slow
def test_nor_is_one_of_twenty_in_a_row(fits) -> None:
    spread, whole = family(fits, chains=DRAWS, length=20, resamples=100, seed=1)
    assert spread <= 0.05 < whole


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [less_accurate(2, worst=True), less_accurate(3, worst=True), broken_threshold, flattened],
    ids=["2 points", "3 points", "threshold", "flattened"],
)
def test_a_planted_regression_is_refused_or_called_underpowered(fits, plant) -> None:
    found = shares(fits, plant, draws=200)
    assert found["promoted"] <= 0.05
    assert found["worse or not shown"] + found["underpowered only"] >= 0.95
