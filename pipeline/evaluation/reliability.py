"""Whether class probabilities come true: confidence against the share that is right, in bins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.evaluation.measures import known_tested
from pipeline.tables import TEST_ID

if TYPE_CHECKING:
    import pandas as pd

KNOWN, SHIFTED = "images of source domains", "images of the held-out domain"


def reliability_points(scores: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Confidence and correctness of test images of known classes, in equal bins of confidence, all fits of a method.

    Args:
        scores: SCORES table.
        bins: between 0 and 1.
    Returns:
        method; images: KNOWN or SHIFTED (no rows where no domain was held out); low, high: edges of the bin;
        confidence, correct: means in it, 0 to 1; share: of these images. Empty bins are left out.
    """
    import numpy as np
    import pandas as pd

    edges = np.linspace(0.0, 1.0, bins + 1)
    tested = known_tested(scores)
    source = scores["role"] == TEST_ID
    parts = []
    for kind, chosen in ((KNOWN, source), (SHIFTED, tested & ~source)):
        rows = scores[chosen]
        place = np.clip(np.searchsorted(edges, rows["confidence"].to_numpy("float64"), side="left") - 1, 0, bins - 1)
        rows = rows.assign(
            images=kind, bin=place, right=(rows["predicted"] == rows["label"]).astype("float64"),
            sure=rows["confidence"].astype("float64"),
        )  # fmt: skip
        grouped = rows.groupby(["method", "images", "bin"], sort=False)
        table = grouped.agg(confidence=("sure", "mean"), correct=("right", "mean"), count=("right", "size"))
        table = table.reset_index().sort_values(["method", "bin"], kind="stable")
        total = table.groupby("method")["count"].transform("sum")
        parts.append(table.assign(low=edges[table["bin"]], high=edges[table["bin"] + 1], share=table["count"] / total))
    return pd.concat(parts, ignore_index=True)[["method", "images", "low", "high", "confidence", "correct", "share"]]
