"""Calibration against hand counts, a loop over bins, and scikit-learn's reliability curve and Brier score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.evaluation.calibration import BINS, brier_top_label, expected_calibration_error

# Edges of the 15 bins and of 10ths, and what lies between.
CONFIDENCE = st.one_of(st.integers(0, 15).map(lambda n: n / 15), st.floats(0, 1))
ROWS = st.lists(st.tuples(CONFIDENCE, st.booleans()), min_size=1, max_size=60)


def ece_by_loop(confidence: np.ndarray, correct: np.ndarray, bins: int) -> float:
    edges, total = np.linspace(0, 1, bins + 1), 0.0
    for number in range(bins):
        inside = (confidence > edges[number]) & (confidence <= edges[number + 1])
        if number == 0:
            inside |= confidence == 0
        if inside.any():
            total += inside.sum() / confidence.size * abs(correct[inside].mean() - confidence[inside].mean())
    return total


def test_by_hand() -> None:
    # Two bins. Up to 1/2: 0.2 (wrong), 0.5 (right), so accuracy 1/2 and confidence 0.35. Above: 0.9 (right), 1 (right),
    # 0.8 (wrong): accuracy 2/3, confidence 0.9. 2/5 · 0.15 + 3/5 · (0.9 - 2/3).
    confidence, correct = [0.2, 0.5, 0.9, 1.0, 0.8], [False, True, True, True, False]
    assert expected_calibration_error(confidence, correct, 2) == pytest.approx(0.4 * 0.15 + 0.6 * (0.9 - 2 / 3))
    # One bin: accuracy 3/5, confidence 3.4/5.
    assert expected_calibration_error(confidence, correct, 1) == pytest.approx(0.4 / 5)
    # Squares of 0.2, 0.5, 0.1, 0 and 0.8.
    assert brier_top_label(confidence, correct) == pytest.approx((0.04 + 0.25 + 0.01 + 0 + 0.64) / 5)


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not() -> None:
    assert expected_calibration_error([1.0] * 3, [True] * 3) == brier_top_label([1.0] * 3, [True] * 3) == 0.0
    assert expected_calibration_error([1.0] * 3, [False] * 3) == brier_top_label([1.0] * 3, [False] * 3) == 1.0
    # A constant confidence that is the accuracy: calibrated, though it does not help to choose.
    assert expected_calibration_error([0.75] * 4, [1, 1, 0, 1]) == 0.0
    assert brier_top_label([0.75] * 4, [1, 1, 0, 1]) == pytest.approx(0.75 * 0.25)
    assert (expected_calibration_error([0.3], [1]), brier_top_label([0.3], [1])) == pytest.approx((0.7, 0.49))


@given(ROWS, st.sampled_from([1, 2, 10, BINS]))
@settings(max_examples=150, deadline=None)
def test_equals_a_loop_over_bins(rows: list[tuple[float, bool]], bins: int) -> None:
    confidence, correct = np.array([c for c, _ in rows]), np.array([right for _, right in rows])
    assert expected_calibration_error(confidence, correct, bins) == pytest.approx(
        ece_by_loop(confidence, correct, bins), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("decimals", [1, 8], ids=["tied", "different"])
def test_equals_scikit_learn(seed: int, decimals: int) -> None:
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(seed)
    confidence = rng.random(400).round(decimals)
    correct = rng.random(400) < confidence**2
    right, sure = calibration_curve(correct, confidence, n_bins=BINS)  # of the bins that are not empty
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
    sizes = np.bincount(bins)[np.unique(bins)]
    expected = np.sum(sizes * np.abs(right - sure)) / 400
    assert expected_calibration_error(confidence, correct) == pytest.approx(expected)
    assert brier_top_label(confidence, correct) == pytest.approx(brier_score_loss(correct, confidence))


def test_float32_confidences_are_taken_as_they_are() -> None:
    confidence, correct = np.float32([0.1, 0.7, 0.9999999]), [False, True, True]
    assert expected_calibration_error(confidence, correct) == pytest.approx((0.1 + 0.3) / 3, abs=1e-6)


@pytest.mark.parametrize("metric", [expected_calibration_error, brier_top_label])
def test_refuses_what_is_no_measurement(metric) -> None:
    with pytest.raises(DataError, match="confidence: expected a non-empty"):
        metric([], [])
    for bad in (float("nan"), float("inf")):
        with pytest.raises(DataError, match="confidence: 1 of 2 are not finite"):
            metric([bad, 0.5], [True, False])
    for bad in (-0.001, 1.001):
        with pytest.raises(DataError, match="confidence: 1 of 2 are outside 0 to 1"):
            metric([bad, 0.5], [True, False])
    with pytest.raises(DataError, match="correct: 1 of 2 are neither 0 nor 1"):
        metric([0.4, 0.5], [0.0, float("nan")])
    with pytest.raises(DataError, match="correct: expected shape"):
        metric([0.4, 0.5], [True])


def test_refuses_no_bins() -> None:
    with pytest.raises(ValueError, match="bins must be at least 1"):
        expected_calibration_error([0.5], [True], 0)
