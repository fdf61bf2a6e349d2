"""AUROC and FPR95 as the authors' code computes them: an ID image that is misclassified is left out.

Only to compare with numbers of that code: leaving out the images that a model gets wrong removes those that it is
unsure of, so both numbers flatter a model with low accuracy. `metrics.py` has the ones to report.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.detection.arrays import Array, finite, flags
from pipeline.detection.metrics import auroc

PERCENTILE = 5  # of the known images, in the authors' sign: 95 % lie above it


def released_auroc(id_scores: ArrayLike, correct: ArrayLike, open_scores: ArrayLike) -> float:
    """AUROC of the correctly classified ID images alone.

    Args:
        id_scores: (N,) scores of ID images; larger = more open-set.
        correct: (N,) whether each is classified correctly.
        open_scores: (M,) scores of open-set images.
    Returns:
        In [0, 1]; larger is better.
    Raises:
        DataError: no ID image is classified correctly, there is no open-set image, a score is not finite, or a flag is
            neither 0 nor 1.
    """
    return auroc(_correctly_classified(id_scores, correct), open_scores)


def released_fpr95_id_positive(id_scores: ArrayLike, correct: ArrayLike, open_scores: ArrayLike) -> float:
    """Share of open-set images more ID-like than the least ID-like 5 % of the correctly classified ID images.

    The threshold is their 5th percentile, interpolated linearly between two images, in the authors' sign (larger = more
    ID); an open-set image at the threshold counts as rejected. Arguments, range and errors as in `released_auroc`;
    smaller is better.
    """
    more_id = -_correctly_classified(id_scores, correct)
    threshold = np.percentile(more_id, PERCENTILE)
    return float(np.mean(-finite(open_scores, "open-set scores") > threshold))


def _correctly_classified(id_scores: ArrayLike, correct: ArrayLike) -> Array:
    known = finite(id_scores, "ID scores")
    return finite(known[flags(correct, "correct", known.size)], "scores of correctly classified ID images")
