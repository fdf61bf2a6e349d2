"""Detection metrics against hand counts, scikit-learn and pytorch-ood."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.detection import metrics
from pipeline.errors import DataError

# Few different values, so that ties within and across the two sides are common.
TIED = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=40)
ALL = [
    metrics.auroc,
    metrics.fpr95_id_positive,
    metrics.fpr95_ood_positive,
    metrics.average_precision,
    metrics.aupr_out,
    metrics.aupr_in,
]
NAMES = [metric.__name__ for metric in ALL]


def sklearn_fpr95(negative: list[float], positive: list[float]) -> float:
    from sklearn.metrics import roc_curve

    labels = [0] * len(negative) + [1] * len(positive)
    false_share, true_share, _ = roc_curve(labels, negative + positive, drop_intermediate=False)
    return float(false_share[np.flatnonzero(true_share >= 0.95)[0]])


def test_by_hand() -> None:
    # ID 1..20, open-set 18, 19.5, 25, 30. Pairs with open > ID: 18 beats 17 and ties with one, 19.5 beats 19, 25 and
    # 30 beat 20 each: (17.5 + 19 + 20 + 20) / 80.
    id_scores, open_scores = np.arange(1.0, 21.0), np.array([18.0, 19.5, 25.0, 30.0])
    assert metrics.auroc(id_scores, open_scores) == pytest.approx(76.5 / 80)
    # 95 % of 20 ID images are 19, so scores <= 19 are accepted: of the open-set only 18.
    assert metrics.fpr95_id_positive(id_scores, open_scores) == 0.25
    # 95 % of 4 open-set images are all 4, so scores >= 18 are rejected: ID 18, 19, 20.
    assert metrics.fpr95_ood_positive(id_scores, open_scores) == 0.15
    # Thresholds 30, 25, 20, 19.5, 19, 18: (recall, precision) (1/4, 1), (2/4, 1), (2/4, 2/3), (3/4, 3/4), (3/4, 3/5),
    # (1, 4/7); later ones do not change recall. Steps: 1/4 (1 + 1 + 3/4 + 4/7).
    assert metrics.average_precision(id_scores, open_scores) == pytest.approx((1 + 1 + 3 / 4 + 4 / 7) / 4)
    # Straight lines between (0, 1) and the same points; at (2/4, 2/3) and (3/4, 3/5) only the precision falls, so the
    # next line starts there: 1/4 (1 + 1 + (2/3 + 3/4)/2 + (3/5 + 4/7)/2).
    assert metrics.aupr_out(id_scores, open_scores) == pytest.approx(
        (2 + (2 / 3 + 3 / 4) / 2 + (3 / 5 + 4 / 7) / 2) / 4
    )
    assert metrics.base_rate(id_scores, open_scores) == pytest.approx(4 / 24)


def test_aupr_in_by_hand() -> None:
    # The lower the score, the more ID. Scores 1, 2, 2, 3 with open-set at 2 and 3: (recall, precision) (0, 1), (1/2, 1)
    # at 1, (1, 2/3) at 2: 1/2 · 1 + 1/2 · (1 + 2/3)/2.
    assert metrics.aupr_in([1.0, 2.0], [2.0, 3.0]) == pytest.approx(1 / 2 + 5 / 12)
    # And open-set positive: (0, 1), (1/2, 1) at 3, (1, 2/3) at 2: the same by symmetry.
    assert metrics.aupr_out([1.0, 2.0], [2.0, 3.0]) == pytest.approx(1 / 2 + 5 / 12)


def test_the_two_conventions_differ_on_the_same_scores() -> None:
    # One ID image of ten lies above every open-set image, all others below: rejecting 95 % of the open-set costs that
    # one ID image, while accepting 95 % (all ten) of ID lets the whole open-set in.
    id_scores, open_scores = [0.0] * 9 + [9.0], [5.0] * 10
    assert metrics.fpr95_ood_positive(id_scores, open_scores) == 0.1
    assert metrics.fpr95_id_positive(id_scores, open_scores) == 1.0


def test_constant_scores_know_nothing() -> None:
    same_id, same_open = [2.0] * 30, [2.0] * 10
    assert metrics.auroc(same_id, same_open) == 0.5
    assert metrics.fpr95_id_positive(same_id, same_open) == 1.0
    assert metrics.fpr95_ood_positive(same_id, same_open) == 1.0
    assert metrics.average_precision(same_id, same_open) == 0.25  # the base rate 10 / 40
    # One line from (0, 1) to (1, 1/4), and to (1, 3/4): trapezoids reward a score that says nothing.
    assert metrics.aupr_out(same_id, same_open) == (1 + 0.25) / 2
    assert metrics.aupr_in(same_id, same_open) == (1 + 0.75) / 2


@given(TIED, TIED)
@settings(max_examples=60, deadline=None)
def test_equals_scikit_learn(id_scores: list[float], open_scores: list[float]) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    labels, scores = [0] * len(id_scores) + [1] * len(open_scores), id_scores + open_scores
    assert metrics.auroc(id_scores, open_scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert metrics.average_precision(id_scores, open_scores) == pytest.approx(average_precision_score(labels, scores))
    assert metrics.fpr95_ood_positive(id_scores, open_scores) == sklearn_fpr95(id_scores, open_scores)
    flipped = sklearn_fpr95([-s for s in open_scores], [-s for s in id_scores])
    assert metrics.fpr95_id_positive(id_scores, open_scores) == flipped
    for mine, theirs in zip(
        metrics.roc_curve(id_scores, open_scores), roc_curve(labels, scores, drop_intermediate=False), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


@given(TIED, TIED)
@settings(max_examples=60, deadline=None)
def test_trapezoids_equal_scikit_learn(id_scores: list[float], open_scores: list[float]) -> None:
    from sklearn.metrics import auc, precision_recall_curve

    labels, scores = np.repeat([0, 1], [len(id_scores), len(open_scores)]), np.array(id_scores + open_scores)
    for metric, positive, values in ((metrics.aupr_out, labels, scores), (metrics.aupr_in, 1 - labels, -scores)):
        precision, recall, _ = precision_recall_curve(positive, values)
        assert metric(id_scores, open_scores) == pytest.approx(auc(recall, precision))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("decimals", [0, 6, -3], ids=["tied", "different", "constant"])
@pytest.mark.parametrize("sizes", [(300, 120), (1, 1), (2, 5)])
def test_equals_pytorch_ood(seed: int, decimals: int, sizes: tuple[int, int]) -> None:
    import torch
    from pytorch_ood.metrics import functional

    rng, (known, unknown) = np.random.default_rng(seed), sizes
    id_scores = rng.normal(0.0, 1.0, known).round(decimals)
    open_scores = rng.normal(1.0, 1.5, unknown).round(decimals)
    scores = torch.from_numpy(np.concatenate([id_scores, open_scores]))
    labels = torch.tensor([0] * known + [-1] * unknown)
    expected = {
        "auroc": functional.auroc(scores, labels),
        "fpr95_ood_positive": functional.fpr_at_tpr(scores, labels, 0.95),
        "fpr95_id_positive": functional.fpr_at_tpr(-scores, torch.tensor([-1] * known + [0] * unknown), 0.95),
        "aupr_out": functional.aupr(scores, labels, positive="ood"),
        "aupr_in": functional.aupr(scores, labels, positive="id"),
    }
    values = metrics.detection(id_scores, open_scores, expected)
    assert values == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-12)


@given(TIED, TIED)
@settings(max_examples=30, deadline=None)
def test_several_metrics_at_once_are_those_one_by_one(id_scores: list[float], open_scores: list[float]) -> None:
    alone = {name: getattr(metrics, name)(id_scores, open_scores) for name in (*NAMES, "base_rate")}
    assert metrics.detection(id_scores, open_scores, alone) == alone


@given(TIED, TIED)
@settings(max_examples=50, deadline=None)
def test_only_the_order_of_scores_counts(id_scores: list[float], open_scores: list[float]) -> None:
    for metric in ALL:
        before = metric(id_scores, open_scores)
        after = metric(np.exp(id_scores) - 7.0, np.exp(open_scores) - 7.0)
        assert after == before


def test_float32_scores_keep_their_order() -> None:
    id_scores = np.array([1.0, 1.0000001], dtype=np.float32)  # neighbours in float32
    assert metrics.auroc(id_scores[:1], id_scores[1:]) == 1.0


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_refuses_scores_that_are_not_finite(metric, bad: float) -> None:
    with pytest.raises(DataError, match=r"open-set scores: 1 of 2 are not finite"):
        metric([0.0], [bad, 1.0])
    with pytest.raises(DataError, match=r"ID scores: 1 of 3 are not finite"):
        metric([0.0, bad, 1.0], [1.0])


@pytest.mark.parametrize("metric", ALL)
def test_refuses_an_empty_side(metric) -> None:
    with pytest.raises(DataError, match="ID scores"):
        metric([], [1.0])
    with pytest.raises(DataError, match="open-set scores"):
        metric([1.0], [])


def test_several_metrics_at_once_refuse_what_each_refuses() -> None:
    for known, unknown in (([], [1.0]), ([1.0], []), ([float("nan")], [1.0]), ([1.0], [float("inf")])):
        with pytest.raises(DataError):
            metrics.detection(known, unknown, NAMES)
