"""What one fit's test images show: accuracy, and detection of each open set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.detection import metrics
from pipeline.evaluation.results import unknown_classes_first
from pipeline.tables import IN_DISTRIBUTION, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID

if TYPE_CHECKING:
    import pandas as pd

OPEN_SET = ("auroc", "fpr95_id_positive", "fpr95_ood_positive", "average_precision")
METRICS = ("accuracy", "accuracy_id", *OPEN_SET, "auroc_id")
BASE_RATE = "base_rate"
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
    return sorted(set(rows.loc[rows["role"] == TEST_UNKNOWN, "open_set"]), key=unknown_classes_first)


def measure(rows: pd.DataFrame, sets: Sequence[str]) -> dict[Key, float]:
    """METRICS and BASE_RATE of one fit, and those of OPEN_SET by open set; NaN where there is nothing to measure.

    Args:
        rows: SCORES rows of one fit.
        sets: names of open sets; the mean is over those that the fit was tested on.
    Raises:
        DataError: a score is not finite.
    """
    correct = rows["predicted"] == rows["label"]
    known, source = known_tested(rows), rows["role"] == TEST_ID
    values = dict.fromkeys(keys(sets), math.nan)
    values["", "accuracy"] = float(correct[known].mean())  # the mean of nothing is NaN
    values["", "accuracy_id"] = float(correct[source].mean())
    known_scores = rows.loc[known, "score"].to_numpy()
    tested = []
    for open_set in sets:
        unknown = rows.loc[(rows["role"] == TEST_UNKNOWN) & (rows["open_set"] == open_set), "score"].to_numpy()
        if len(known_scores) and len(unknown):
            tested.append(open_set)
            for name in (*OPEN_SET, BASE_RATE):
                values[open_set, name] = getattr(metrics, name)(known_scores, unknown)
    for name in (*OPEN_SET, BASE_RATE) if tested else ():
        values["", name] = float(np.mean([values[open_set, name] for open_set in tested]))
    unknown_id = rows["role"] == TEST_UNKNOWN_ID
    if source.any() and unknown_id.any():
        source_scores, unknown_scores = (rows.loc[kind, "score"].to_numpy() for kind in (source, unknown_id))
        values["", "auroc_id"] = metrics.auroc(source_scores, unknown_scores)
    return values
