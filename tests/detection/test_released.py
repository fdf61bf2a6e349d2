"""The authors' variants of AUROC and FPR95 against a transcription of what their evaluation computes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pipeline.detection.metrics import auroc, fpr95_id_positive
from pipeline.detection.oscr import oscr
from pipeline.detection.released import released_auroc, released_fpr95_id_positive
from pipeline.errors import DataError

SCORE = st.integers(-20, 20).map(lambda number: number / 8)
KNOWN = st.lists(st.tuples(SCORE, st.booleans()), min_size=1, max_size=50).filter(lambda rows: any(r for _, r in rows))
UNKNOWN = st.lists(SCORE, min_size=1, max_size=50)


def test_by_hand() -> None:
    # Scores 0, -1 ... -20 of images that are right, and one wrong image that looks most unknown. In the authors' sign
    # the right ones are 0, 1 ... 20, whose 5th percentile is exactly the second smallest: 1.
    known = [-float(i) for i in range(21)]
    scores, correct = [*known, 9.0], [True] * 21 + [False]
    # Unknown images of 2 and 1.5 lie above it, 1 is at it and is rejected, 0.5 and -3 lie below.
    unknown = [-2.0, -1.5, -1.0, -0.5, 3.0]
    assert released_fpr95_id_positive(scores, correct, unknown) == 2 / 5
    # All images: 95 % of 22 are 21 (20 are 90.9 %), so scores <= 0 pass: all unknown ones but the last.
    assert fpr95_id_positive(scores, unknown) == 4 / 5
    # Pairs won: -2 beats 18 of 21 and ties with one, -1.5 beats 19, -1 beats 19 and ties, -0.5 beats 20, 3 beats 21.
    assert released_auroc(scores, correct, unknown) == pytest.approx((18.5 + 19 + 19.5 + 20 + 21) / 105)
    assert auroc(scores, unknown) == pytest.approx((18.5 + 19 + 19.5 + 20 + 21) / 110)  # the wrong image beats all


@given(KNOWN, UNKNOWN)
@settings(max_examples=100, deadline=None)
def test_equal_a_transcription(known: list[tuple[float, bool]], unknown: list[float]) -> None:
    energies = np.array([-score for score, right in known if right])  # larger = more ID
    others = -np.array(unknown)
    scores, correct = zip(*known, strict=True)
    truth = np.repeat([0, 1], [others.size, energies.size])
    expected = roc_auc_score(truth, np.concatenate([others, energies]))
    assert released_auroc(scores, correct, unknown) == pytest.approx(expected, abs=1e-12)
    assert released_fpr95_id_positive(scores, correct, unknown) == np.mean(others > np.percentile(energies, 5))
    share = sum(correct) / len(correct)
    assert oscr(scores, correct, unknown) == pytest.approx(share * expected, abs=1e-12)


@pytest.mark.parametrize("metric", [released_auroc, released_fpr95_id_positive])
def test_refuses_what_is_no_measurement(metric) -> None:
    with pytest.raises(DataError, match="scores of correctly classified ID images: expected a non-empty"):
        metric([1.0, 2.0], [False, False], [1.0])
    with pytest.raises(DataError, match="ID scores: expected a non-empty"):
        metric([], [], [1.0])
    with pytest.raises(DataError, match="open-set scores: expected a non-empty"):
        metric([1.0], [True], [])
    for bad in (float("nan"), float("inf")):
        with pytest.raises(DataError, match="ID scores: 1 of 2 are not finite"):
            metric([1.0, bad], [True, False], [1.0])
        with pytest.raises(DataError, match="open-set scores: 1 of 1 are not finite"):
            metric([1.0], [True], [bad])
