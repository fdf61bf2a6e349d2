"""Classification and open-set detection in one number: the open-set classification rate."""

from __future__ import annotations

from numpy.typing import ArrayLike

from pipeline.detection.arrays import finite, flags
from pipeline.detection.metrics import auroc


def oscr(id_scores: ArrayLike, correct: ArrayLike, open_scores: ArrayLike) -> float:
    """Area under the correct classification rate against the share of open-set images accepted; larger is better.

    CCR(t) = share of ID images with score <= t that are classified correctly, FPR(t) = share of open-set images with
    score <= t; the area is that of all thresholds t            (Dhamija et al., "Reducing Network Agnostophobia",
    NeurIPS 2018, section 5). Ties count half, as in `auroc`; the paper counts them against the model.

    An open-set image above a correctly classified ID image adds one pair to the area, so it is the accuracy times the
    AUROC of the correctly classified ID images.

    Args:
        id_scores: (N,) scores of ID images; larger = more open-set.
        correct: (N,) whether each is classified correctly.
        open_scores: (M,) scores of open-set images.
    Returns:
        In [0, accuracy].
    Raises:
        DataError: one side is empty, a score is not finite, or a flag is neither 0 nor 1.
    """
    known, unknown = finite(id_scores, "ID scores"), finite(open_scores, "open-set scores")
    right = known[flags(correct, "correct", known.size)]
    return right.size / known.size * auroc(right, unknown) if right.size else 0.0
