"""The open-set classification rate against a loop over thresholds, hand counts and pytorch-ood."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.detection.metrics import auroc
from pipeline.detection.oscr import oscr
from pipeline.errors import DataError

KNOWN = st.lists(st.tuples(st.integers(-3, 3).map(float), st.booleans()), min_size=1, max_size=30)
UNKNOWN = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30)


def by_loop(known: list[tuple[float, bool]], unknown: list[float]) -> float:
    """The area under the points of every threshold, joined by straight lines."""
    area, accepted, rate = 0.0, 0.0, 0.0
    for threshold in sorted({score for score, _ in known} | set(unknown)):
        now_rate = sum(right for score, right in known if score <= threshold) / len(known)
        now_accepted = sum(score <= threshold for score in unknown) / len(unknown)
        area += (now_accepted - accepted) * (now_rate + rate) / 2
        accepted, rate = now_accepted, now_rate
    return area


def test_by_hand() -> None:
    # Known 0 (right), 1 (wrong), 2 (right), 3 (right); unknown 2.5 and 4. When 2.5 is accepted, 2 of 4 known images are
    # accepted and right; when 4 is, 3 of 4: the mean of 2/4 and 3/4.
    assert oscr([0.0, 1.0, 2.0, 3.0], [True, False, True, True], [2.5, 4.0]) == pytest.approx(5 / 8)


def test_a_perfect_detector_reaches_the_accuracy_and_one_that_knows_nothing_half_of_it() -> None:
    assert oscr([0.0, 1.0, 2.0, 3.0], [1, 0, 1, 1], [9.0]) == 0.75
    assert oscr([2.0, 2.0, 2.0, 2.0], [1, 0, 1, 1], [2.0]) == 0.375
    assert oscr([0.0, 1.0], [0, 0], [9.0]) == 0.0
    # All right: nothing but detection is left.
    assert oscr([0.0, 1.0, 2.0], [1, 1, 1], [0.5, 1.0]) == auroc([0.0, 1.0, 2.0], [0.5, 1.0])


@given(KNOWN, UNKNOWN)
@settings(max_examples=100, deadline=None)
def test_equals_a_loop_and_pytorch_ood(known: list[tuple[float, bool]], unknown: list[float]) -> None:
    import torch
    from pytorch_ood.metrics.functional import oscr_score

    scores, correct = zip(*known, strict=True)
    value = oscr(scores, correct, unknown)
    assert value == pytest.approx(by_loop(known, unknown), abs=1e-12)
    predictions = torch.tensor([0 if right else 1 for right in correct] + [0] * len(unknown))
    labels = torch.tensor([0] * len(known) + [-1] * len(unknown))
    assert value == pytest.approx(oscr_score(torch.tensor([*scores, *unknown]), predictions, labels), abs=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_refuses_what_is_no_measurement(bad: float) -> None:
    with pytest.raises(DataError, match="ID scores: 1 of 2 are not finite"):
        oscr([0.0, bad], [True, False], [1.0])
    with pytest.raises(DataError, match="open-set scores: 1 of 1 are not finite"):
        oscr([0.0], [False], [bad])  # also where no ID image is right
    with pytest.raises(DataError, match="correct: 1 of 2 are neither 0 nor 1"):
        oscr([0.0, 1.0], [1.0, bad], [1.0])


def test_refuses_one_side_and_flags_of_other_images() -> None:
    with pytest.raises(DataError, match="ID scores: expected a non-empty"):
        oscr([], [], [1.0])
    with pytest.raises(DataError, match="open-set scores: expected a non-empty"):
        oscr([1.0], [True], [])
    with pytest.raises(DataError, match=r"correct: expected shape \(2,\), one for each image, got \(1,\)"):
        oscr([1.0, 2.0], [True], [1.0])
