"""What one fit's test images show: accuracy, detection of each open set, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.detection.metrics import auroc, detection
from pipeline.detection.oscr import oscr
from pipeline.detection.released import released_auroc, released_fpr95_id_positive
from pipeline.evaluation.calibration import brier_top_label, expected_calibration_error
from pipeline.evaluation.results import unknown_classes_first
from pipeline.evaluation.selective import aurc, risk_at_coverage
from pipeline.tables import IN_DISTRIBUTION, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID

if TYPE_CHECKING:
    import pandas as pd

STANDARD = ("auroc", "fpr95_id_positive", "fpr95_ood_positive", "average_precision", "aupr_out", "aupr_in")
"""Of `detection.metrics`: unknown images against the known ones that are tested."""
FULL_SPECTRUM = {
    "auroc": "auroc_full",
    "fpr95_id_positive": "fpr95_full_id_positive",
    "fpr95_ood_positive": "fpr95_full_ood_positive",
}
"""The same with unseen images of the source domains among the known ones: images of old and new styles are to be told
from unknown ones by one score (Yang et al., "Full-Spectrum Out-of-Distribution Detection", IJCV 2023)."""
RELEASED = ("released_auroc", "released_fpr95_id_positive")
OPEN_SET = (*STANDARD, "oscr", *FULL_SPECTRUM.values(), *RELEASED)
KNOWN = ("aurc", "risk_at_95_coverage", "ece", "brier_top_label")
"""Of the confidence in the predicted class, on the known images that are tested."""
METRICS = ("accuracy", "accuracy_id", *OPEN_SET, "auroc_id", *KNOWN)
BASE_RATE = "base_rate"
COVERAGE = 0.95
Key = tuple[str, str]
"""Open set and metric; the open set is "" for the mean over the open sets and for metrics that need none."""


def keys(sets: Sequence[str]) -> list[Key]:
    """The keys of what `measure` returns."""
    overall = [("", name) for name in (*METRICS, BASE_RATE)]
    return overall + [(open_set, name) for open_set in sets for name in (*OPEN_SET, BASE_RATE)]


def known_tested(rows: pd.DataFrame) -> pd.Series:
    """Which rows of a SCORES table are the known images that accuracy and detection are about.

    Those of the held-out domain; with the target IN_DISTRIBUTION, which holds out none, unseen ones of its own domains.
    """
    no_shift = rows["target"] == IN_DISTRIBUTION
    return (rows["role"] == TEST_SHIFTED) | ((rows["role"] == TEST_ID) & no_shift)


def open_sets(rows: pd.DataFrame) -> list[str]:
    """The open sets of a SCORES table: the domains' own unknown classes first, then pools by name."""
    return sorted(rows.loc[rows["role"] == TEST_UNKNOWN, "open_set"].unique(), key=unknown_classes_first)


def measure(rows: pd.DataFrame, sets: Sequence[str]) -> dict[Key, float]:
    """METRICS and BASE_RATE of one fit, and those of OPEN_SET by open set; NaN where there is nothing to measure.

    Args:
        rows: SCORES rows of one fit.
        sets: names of open sets; the mean is over those that the fit was tested on.
    Raises:
        DataError: a score or a confidence is not finite, or a confidence is no probability.
    """
    correct = (rows["predicted"] == rows["label"]).to_numpy()
    scores, role = rows["score"].to_numpy(), rows["role"]
    tested, source = known_tested(rows).to_numpy(), (role == TEST_ID).to_numpy()
    values = dict.fromkeys(keys(sets), math.nan)
    if tested.any():
        values["", "accuracy"] = float(correct[tested].mean())
        known = _of_known(rows["confidence"].to_numpy()[tested], correct[tested])
        values |= {("", name): value for name, value in known.items()}
    if source.any():
        values["", "accuracy_id"] = float(correct[source].mean())
    # Without a shift the source's images are those tested, and there is no wider spectrum.
    unshifted = scores[source & ~tested]
    unknown, open_set_of = (role == TEST_UNKNOWN).to_numpy(), rows["open_set"]
    measured = []
    for open_set in sets:
        of_set = scores[unknown & (open_set_of == open_set).to_numpy()]
        if tested.any() and of_set.size:
            found = _against(scores[tested], correct[tested], unshifted, of_set)
            measured.append(found)
            values |= {(open_set, name): value for name, value in found.items()}
    for name in measured[0] if measured else ():
        values["", name] = float(np.mean([found[name] for found in measured]))
    unknown_id = (role == TEST_UNKNOWN_ID).to_numpy()
    if source.any() and unknown_id.any():
        values["", "auroc_id"] = auroc(scores[source], scores[unknown_id])
    return values


def _of_known(confidence: np.ndarray, correct: np.ndarray) -> dict[str, float]:
    """KNOWN of (N,) images."""
    return {
        "aurc": aurc(confidence, correct),
        "risk_at_95_coverage": risk_at_coverage(confidence, correct, COVERAGE),
        "ece": expected_calibration_error(confidence, correct),
        "brier_top_label": brier_top_label(confidence, correct),
    }


def _against(known: np.ndarray, correct: np.ndarray, unshifted: np.ndarray, unknown: np.ndarray) -> dict[str, float]:
    """OPEN_SET and BASE_RATE of one open set.

    Args:
        known: (N,) scores of the known images that are tested; N > 0.
        correct: (N,) whether each is classified correctly.
        unshifted: (U,) scores of other unseen images, of the source domains; may be empty.
        unknown: (M,) scores of the open set; M > 0.
    """
    values = detection(known, unknown, (*STANDARD, BASE_RATE)) | {"oscr": oscr(known, correct, unknown)}
    if unshifted.size:
        wider = detection(np.concatenate([known, unshifted]), unknown, FULL_SPECTRUM)
        values |= {FULL_SPECTRUM[name]: value for name, value in wider.items()}
    if correct.any():
        values["released_auroc"] = released_auroc(known, correct, unknown)
        values["released_fpr95_id_positive"] = released_fpr95_id_positive(known, correct, unknown)
    return values
