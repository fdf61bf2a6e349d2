"""Risk and coverage against hand counts, a loop over images, and pytorch-ood where no confidences are equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.evaluation.selective import aurc, risk_at_coverage

ROWS = st.lists(st.tuples(st.integers(0, 8).map(lambda n: n / 8), st.booleans()), min_size=1, max_size=40)


def by_loop(confidence: np.ndarray, correct: np.ndarray) -> float:
    return float(np.mean([np.mean(~correct[confidence >= threshold]) for threshold in confidence]))


def test_by_hand() -> None:
    # Falling confidence: right, wrong, right, wrong. Risks 0, 1/2, 1/3, 2/4 at coverages 1/4 ... 1.
    confidence, correct = [0.9, 0.8, 0.7, 0.6], [True, False, True, False]
    assert aurc(confidence, correct) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert [risk_at_coverage(confidence, correct, c) for c in (0.25, 0.5, 0.51, 0.75, 0.95, 1.0)] == pytest.approx(
        [0, 1 / 2, 1 / 3, 1 / 3, 1 / 2, 1 / 2]
    )


def test_equal_confidences_are_answered_together() -> None:
    # Two at 0.9 (one wrong), two at 0.5 (one wrong): the risk is 1/2 for each of the first pair and of the second.
    confidence, correct = [0.9, 0.9, 0.5, 0.5], [True, False, True, False]
    assert aurc(confidence, correct) == aurc(confidence, correct[::-1]) == 0.5
    assert risk_at_coverage(confidence, correct, 0.25) == 0.5  # half of the images have to be answered
    # A constant confidence cannot choose: the error rate at any coverage.
    assert aurc([0.3] * 8, [True] * 6 + [False] * 2) == 0.25
    assert {risk_at_coverage([0.3] * 8, [True] * 6 + [False] * 2, c) for c in (0.01, 0.8, 0.95)} == {0.25}


def test_a_share_that_is_reached_exactly_is_reached() -> None:
    # 95 of 100 images are 0.95, however it is rounded: the 95 surest ones are right, the rest wrong.
    confidence = np.arange(100, 0, -1) / 100
    assert risk_at_coverage(confidence, np.arange(100) < 95, 0.95) == 0.0
    assert risk_at_coverage(confidence, np.arange(100) < 94, 0.95) == pytest.approx(1 / 95)


def test_one_image_and_no_errors() -> None:
    assert (aurc([0.4], [True]), aurc([0.4], [False])) == (0.0, 1.0)
    assert (risk_at_coverage([0.4], [True], 0.95), risk_at_coverage([0.4], [False], 0.95)) == (0.0, 1.0)
    assert aurc([0.1, 0.2, 0.3], [True] * 3) == 0.0


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_equals_a_loop_over_images(rows: list[tuple[float, bool]]) -> None:
    confidence, correct = np.array([c for c, _ in rows]), np.array([right for _, right in rows])
    assert aurc(confidence, correct) == pytest.approx(by_loop(confidence, correct))
    for coverage in (0.2, 0.8, 0.95, 1.0):
        # The highest threshold that answers enough images.
        threshold = max(t for t in confidence if np.mean(confidence >= t) >= coverage)
        expected = np.mean(~correct[confidence >= threshold])
        assert risk_at_coverage(confidence, correct, coverage) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_equals_pytorch_ood_without_ties(seed: int) -> None:
    import torch
    from pytorch_ood.metrics.functional import aurra  # the mean accuracy over coverages: 1 - AURC

    rng = np.random.default_rng(seed)
    confidence = rng.permutation(500) / 500
    correct = rng.random(500) < confidence
    theirs = aurra(torch.from_numpy(confidence), torch.from_numpy(correct))
    assert aurc(confidence, correct) == pytest.approx(1 - theirs)


def test_only_the_order_of_confidences_counts() -> None:
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(50).round(1), rng.random(50) < 0.6
    assert aurc(np.exp(confidence) - 7, correct) == aurc(confidence, correct)


@pytest.mark.parametrize("metric", [aurc, lambda *rows: risk_at_coverage(*rows, 0.95)], ids=["aurc", "risk"])
def test_refuses_what_is_no_measurement(metric) -> None:
    with pytest.raises(DataError, match="confidence: expected a non-empty"):
        metric([], [])
    for bad in (float("nan"), float("inf")):
        with pytest.raises(DataError, match="confidence: 1 of 2 are not finite"):
            metric([bad, 0.5], [True, False])
    with pytest.raises(DataError, match="correct: 1 of 2 are neither 0 nor 1"):
        metric([0.4, 0.5], [0, 2])
    with pytest.raises(DataError, match="correct: expected shape"):
        metric([0.4, 0.5], [True])


@pytest.mark.parametrize("coverage", [0.0, -0.1, 1.1, float("nan")])
def test_refuses_a_coverage_that_is_no_share(coverage: float) -> None:
    with pytest.raises(ValueError, match="coverage must be in"):
        risk_at_coverage([0.5], [True], coverage)
