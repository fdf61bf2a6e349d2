"""What one fit's test images say: accuracy, and detection of each open set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.detection import metrics
from pipeline.tables import IN_DISTRIBUTION, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID, UNKNOWN_CLASSES

if TYPE_CHECKING:
    import pandas as pd

OPEN_SET = ("auroc", "fpr95_id_positive", "fpr95_ood_positive", "average_precision")
METRICS = ("accuracy", "accuracy_id", *OPEN_SET, "auroc_id")
BASE_RATE = "base_rate"


def of_set(metric: str, open_set: str) -> str:
    """The name of a metric on one open set, `auroc/dtd`; without the slash it is the mean over the open sets."""
    return f"{metric}/{open_set}"


def columns(sets: Sequence[str]) -> list[str]:
    """What `measure` gives."""
    return [*METRICS, BASE_RATE, *(of_set(name, one) for one in sets for name in (*OPEN_SET, BASE_RATE))]


def known_tested(rows: pd.DataFrame) -> pd.Series:
    """Which rows of a SCORES table are the known images that accuracy and detection are about.

    Those of the held-out domain; with the target IN_DISTRIBUTION, which holds out none, unseen ones of its own domains.
    """
    beside = rows["target"] == IN_DISTRIBUTION
    return (rows["role"] == TEST_SHIFTED) | ((rows["role"] == TEST_ID) & beside)


def open_sets(rows: pd.DataFrame) -> list[str]:
    """The open sets of a SCORES table: the domains' own unknown classes first, then pools by name."""
    found = set(rows.loc[rows["role"] == TEST_UNKNOWN, "open_set"])
    return sorted(found, key=lambda name: (name != UNKNOWN_CLASSES, name))


def measure(rows: pd.DataFrame, sets: Sequence[str]) -> dict[str, float]:
    """METRICS and BASE_RATE of one fit, and those of OPEN_SET by open set; NaN where there is nothing to measure.

    Args:
        rows: SCORES rows of one fit.
        sets: names of open sets; a metric without a name behind it is the mean over those that the fit was tested on.
    Raises:
        DataError: a score is not finite.
    """
    correct = rows["predicted"] == rows["label"]
    known, beside = known_tested(rows), rows["role"] == TEST_ID
    values = dict.fromkeys(columns(sets), math.nan)
    values["accuracy"] = float(correct[known].mean())  # the mean of nothing is NaN
    values["accuracy_id"] = float(correct[beside].mean())
    known_scores = rows.loc[known, "score"].to_numpy()
    there = []
    for one in sets:
        unknown = rows.loc[(rows["role"] == TEST_UNKNOWN) & (rows["open_set"] == one), "score"].to_numpy()
        if len(known_scores) and len(unknown):
            there.append(one)
            for name in (*OPEN_SET, BASE_RATE):
                values[of_set(name, one)] = getattr(metrics, name)(known_scores, unknown)
    for name in (*OPEN_SET, BASE_RATE) if there else ():
        values[name] = float(np.mean([values[of_set(name, one)] for one in there]))
    unknown_id = rows["role"] == TEST_UNKNOWN_ID
    if beside.any() and unknown_id.any():
        values["auroc_id"] = metrics.auroc(
            rows.loc[beside, "score"].to_numpy(), rows.loc[unknown_id, "score"].to_numpy()
        )
    return values
