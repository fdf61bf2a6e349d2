"""What the threshold does away from the images that set it: known images accepted, and unknown ones rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.evaluation.measures import open_sets
from pipeline.tables import TEST_ID, TEST_SHIFTED, TEST_UNKNOWN

if TYPE_CHECKING:
    import pandas as pd


def decisions(scores: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """How each fit decides with its own threshold.

    Args:
        scores: SCORES table.
        limits: method, target, seed and threshold, of `predict.score_fits`; fits without a threshold are left out.
    Returns:
        method; target; images: test_id, test_shifted or the open set's name; accepted: share of these images that are
        called known, 0 to 1, mean over seeds; spread: its standard deviation over seeds; correct: share that is both
        called known and given the right class (NaN for open sets); count: different images.
    """
    import pandas as pd

    rows = scores.merge(limits[["method", "target", "seed", "threshold"]].dropna(), on=["method", "target", "seed"])
    kinds = {role: rows["role"] == role for role in (TEST_ID, TEST_SHIFTED)}
    unknown = rows["role"] == TEST_UNKNOWN
    kinds |= {name: unknown & (rows["open_set"] == name) for name in open_sets(scores)}
    parts = []
    for kind, chosen in kinds.items():
        part = rows[chosen]
        accepted = part["score"] <= part["threshold"]
        right = (accepted & (part["predicted"] == part["label"])).astype("float64")
        part = part.assign(accepted=accepted.astype("float64"), correct=right.where(part["label"] >= 0))
        keys = ["method", "target"]
        by_seed = part.groupby([*keys, "seed"], sort=False)[["accepted", "correct"]].mean()
        of_fits = by_seed.groupby(keys, sort=False)
        table = of_fits.mean().assign(
            spread=of_fits["accepted"].std(), count=part.groupby(keys, sort=False)["path"].nunique(), images=kind
        )
        parts.append(table.reset_index())
    return pd.concat(parts, ignore_index=True)[["method", "target", "images", "accepted", "spread", "correct", "count"]]
