"""The accept threshold against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.detection.metrics import fpr95_id_positive
from pipeline.detection.thresholds import accept_threshold, conformal_threshold, set_threshold
from pipeline.errors import DataError

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=50)


def test_by_hand() -> None:
    scores = np.arange(20.0)[::-1]
    assert accept_threshold(scores, 0.95) == 18.0  # 19 of 20 are <= 18
    assert accept_threshold(scores, 0.96) == 19.0  # 19 of 20 are too few
    assert accept_threshold(scores, 1.0) == 19.0
    assert accept_threshold([4.0], 0.01) == 4.0


def test_a_product_that_rounds_up_takes_no_extra_image() -> None:
    # 0.07 * 100 is 7.000000000000001 in floating point; 7 of 100 are 7 %.
    assert accept_threshold(np.arange(100.0), 0.07) == 6.0


@given(SCORES, st.floats(0.01, 1.0))
@settings(max_examples=200, deadline=None)
def test_is_the_smallest_threshold_that_reaches_the_rate(scores: list[float], rate: float) -> None:
    threshold = accept_threshold(scores, rate)
    values = np.array(scores)
    assert (values <= threshold).mean() >= rate
    assert all((values <= lower).mean() < rate for lower in values[values < threshold])


def test_agrees_with_the_metric_of_its_name() -> None:
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(0, 1, 200), rng.normal(1, 1, 100)
    accepted = (unknown <= accept_threshold(known, 0.95)).mean()
    assert accepted == fpr95_id_positive(known, unknown)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.01, float("nan")])
def test_refuses_other_rates(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        accept_threshold([1.0], rate)


@pytest.mark.parametrize("scores", [[], [float("nan"), 1.0], [float("inf")]])
def test_refuses_broken_scores(scores: list[float]) -> None:
    with pytest.raises(DataError, match="threshold"):
        accept_threshold(scores, 0.95)


def test_conformal_threshold_by_hand() -> None:
    # 19 scores: k = ceil(20 · 0.9) = 18 and ceil(20 · 0.95) = 19; ceil(20 · 0.96) = 20 is more than there are.
    scores = np.arange(19.0)
    assert conformal_threshold(scores, 0.9) == (17.0, "")
    assert conformal_threshold(scores, 0.95) == (18.0, "")
    beyond = conformal_threshold(scores, 0.96)
    assert beyond.value == 18.0
    assert beyond.note == "no promise: 19 validation images, 24 are needed"
    assert conformal_threshold(np.arange(24.0), 0.96) == (23.0, "")  # with 24, there is one
    assert "no number of images" in conformal_threshold(scores, 1.0).note


def test_conformal_threshold_keeps_its_promise_on_new_images() -> None:
    draw = np.random.default_rng(0)
    accepted = [
        (draw.normal(size=500) <= conformal_threshold(draw.normal(size=30), 0.9).value).mean() for _ in range(800)
    ]
    plain = [(draw.normal(size=500) <= accept_threshold(draw.normal(size=30), 0.9)).mean() for _ in range(800)]
    # 28 of 30 and 27 of 30 scores lie below: a new one does with probability 28/31 and 27/31.
    assert np.mean(accepted) == pytest.approx(28 / 31, abs=0.006)
    assert np.mean(plain) == pytest.approx(27 / 31, abs=0.006)


def test_worst_domain_has_its_share_accepted_too() -> None:
    scores = np.concatenate([np.arange(20.0), 100 + np.arange(20.0)])
    groups = ["ink"] * 20 + ["oil"] * 20
    found = set_threshold(scores, 0.9, "worst-domain", groups)
    assert found == (117.0, "set by oil")
    assert (scores[20:] <= found.value).mean() == 0.9
    shuffled = np.random.default_rng(0).permutation(40)
    assert set_threshold(scores[shuffled], 0.9, "worst-domain", [groups[i] for i in shuffled]) == found
    assert set_threshold(scores, 0.9) == (accept_threshold(scores, 0.9), "")
    assert "single largest score of 9 validation images" in set_threshold(np.arange(9.0), 0.9).note
    with pytest.raises(ValueError, match="unknown kind of threshold 'best'"):
        set_threshold(scores, 0.9, "best")
