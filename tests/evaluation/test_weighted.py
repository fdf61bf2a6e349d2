"""Metrics of weighted images against hand counts, copies of images and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pipeline.detection import metrics
from pipeline.evaluation.weighted import DETECTION, Side, accuracy, auroc, make_side

Sides = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def side(scores: list[float], *columns: list[int]) -> Side:
    return make_side(np.array(scores, float), np.array(columns, "int32").T)


@st.composite
def drawn(draw: st.DrawFn) -> Sides:
    """Scores with ties and weights with zeros of both sides, one resample; no side is empty."""
    parts = []
    for _ in range(2):
        count = draw(st.integers(1, 12))
        scores = draw(st.lists(st.integers(-3, 3), min_size=count, max_size=count))
        weights = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count).filter(any))
        parts += [np.array(scores, float), np.array(weights, "int32")]
    return tuple(parts)


def test_auroc_by_hand() -> None:
    known = side([0.0, 1.0, 2.0], [1, 1, 1], [0, 2, 1])
    unknown = side([3.0, 1.0], [1, 1], [1, 3])
    # As they are: 3 beats three of three; 1 beats the 0 and ties with the 1: 1.5 of three. (3 + 1.5) / 6.
    # Drawn as 1 1 2 and 3 1 1 1: the 3 beats three; each 1 ties with both 1s: half of two. (3 + 3 * 1) / 12.
    assert auroc(known, unknown) == pytest.approx([4.5 / 6, 6 / 12])


def test_fpr95_by_hand() -> None:
    known = side([0.0, 1.0, 2.0, 9.0], [1, 1, 1, 1], [25, 25, 49, 1])
    unknown = side([0.5, 3.0], [1, 1], [1, 1])
    # As they are, 95 % of four known images are all four, up to 9: both unknown ones are accepted. With the weights, 99
    # of 100 lie up to 2: only 0.5 is accepted. Both unknown images are rejected from 0.5: three of four, 75 of 100.
    assert DETECTION["fpr95_id_positive"](known, unknown).tolist() == [1.0, 0.5]
    assert DETECTION["fpr95_ood_positive"](known, unknown).tolist() == [0.75, 0.75]


def test_accuracy_by_hand() -> None:
    weights = np.array([[1, 0], [1, 3], [1, 1]], "int32")
    assert accuracy(np.array([True, False, True]), weights).tolist() == [2 / 3, 1 / 4]


@pytest.mark.parametrize("metric", DETECTION)
@given(sides=drawn())
def test_a_weight_is_that_many_copies(metric: str, sides: Sides) -> None:
    known, known_weights, unknown, unknown_weights = sides
    found = DETECTION[metric](make_side(known, known_weights[:, None]), make_side(unknown, unknown_weights[:, None]))
    copies = getattr(metrics, metric)(np.repeat(known, known_weights), np.repeat(unknown, unknown_weights))
    assert found.item() == pytest.approx(copies, abs=1e-12)


@given(sides=drawn())
def test_auroc_is_that_of_scikit_learn(sides: Sides) -> None:
    known, known_weights, unknown, unknown_weights = sides
    found = auroc(make_side(known, known_weights[:, None]), make_side(unknown, unknown_weights[:, None]))
    labels = np.repeat([0, 1], [len(known), len(unknown)])
    weights = np.concatenate([known_weights, unknown_weights])
    assert found.item() == pytest.approx(
        roc_auc_score(labels, np.concatenate([known, unknown]), sample_weight=weights), abs=1e-12
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_resamples_do_not_depend_on_each_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, weights = rng.integers(0, 9, 30).astype(float), rng.integers(0, 4, (30, 5)).astype("int32")
    others, more = rng.integers(2, 11, 20).astype(float), rng.integers(0, 4, (20, 5)).astype("int32")
    for metric in DETECTION.values():
        together = metric(make_side(scores, weights), make_side(others, more))
        alone = [metric(make_side(scores, weights[:, [b]]), make_side(others, more[:, [b]])).item() for b in range(5)]
        assert together.tolist() == alone


@pytest.mark.parametrize("metric", DETECTION)
def test_a_side_that_no_resample_drew_has_no_metric(metric: str) -> None:
    full, empty = side([0.0, 1.0], [1, 1]), side([0.0, 1.0], [0, 0])
    assert np.isnan(DETECTION[metric](full, empty)).all()
    assert np.isnan(DETECTION[metric](empty, full)).all()
