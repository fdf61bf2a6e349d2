"""What thresholds do to test images, and whether probabilities come true, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from pipeline.evaluation.decisions import decisions
from pipeline.evaluation.reliability import KNOWN, SHIFTED, reliability_points
from pipeline.tables import TEST_ID, TEST_SHIFTED, TEST_UNKNOWN


def limits(**thresholds: float) -> pd.DataFrame:
    rows = [{"method": "m", "target": "ink", "seed": int(seed[1:]), "threshold": t} for seed, t in thresholds.items()]
    return pd.DataFrame(rows)


def test_decisions_use_each_fits_own_threshold(table_of) -> None:
    scores = table_of(
        [
            ("m", "ink", 1, "a", TEST_SHIFTED, 0, 0, 1.0), ("m", "ink", 1, "b", TEST_SHIFTED, 1, 0, 2.0),
            ("m", "ink", 2, "a", TEST_SHIFTED, 0, 0, 11.0), ("m", "ink", 2, "b", TEST_SHIFTED, 1, 1, 13.0),
            ("m", "ink", 1, "c", TEST_ID, 0, 0, 0.0), ("m", "ink", 2, "c", TEST_ID, 0, 1, 0.0),
            ("m", "ink", 1, "u", TEST_UNKNOWN, -1, 0, 2.5), ("m", "ink", 2, "u", TEST_UNKNOWN, -1, 0, 12.0),
            ("m", "ink", 1, "v", TEST_UNKNOWN, -1, 0, 9.0, "tex"),
            ("m", "ink", 2, "v", TEST_UNKNOWN, -1, 0, 99.0, "tex"),
        ]
    )  # fmt: skip
    table = decisions(scores, limits(s1=2.0, s2=12.0)).set_index("images")
    # Seed 1 accepts a and b (a right), seed 2 accepts a (right) alone: (2/2 + 1/2) / 2 and (1/2 + 1/2) / 2.
    assert table.loc[TEST_SHIFTED, "accepted"] == 0.75
    assert table.loc[TEST_SHIFTED, "correct"] == 0.5
    assert table.loc[TEST_SHIFTED, "spread"] == pytest.approx(0.5 / 2**0.5)
    assert table.loc[TEST_ID, ["accepted", "correct", "count"]].tolist() == [1.0, 0.5, 1]
    assert table.loc["classes", "accepted"] == 0.5  # 2.5 > 2, and 12 <= 12
    assert table.loc["tex", "accepted"] == 0.0
    assert pd.isna(table.loc["tex", "correct"])
    one = decisions(scores, limits(s1=2.0)).set_index("images")
    assert one.loc[TEST_SHIFTED, "accepted"] == 1.0  # a fit without a threshold is left out


def test_reliability_bins_known_images_alone(table_of) -> None:
    scores = table_of(
        [
            ("m", "ink", 1, "a", TEST_SHIFTED, 0, 0, 1.0), ("m", "ink", 1, "b", TEST_SHIFTED, 1, 0, 2.0),
            ("m", "ink", 1, "c", TEST_SHIFTED, 1, 1, 2.0), ("m", "ink", 1, "d", TEST_ID, 1, 1, 2.0),
            ("m", "ink", 1, "u", TEST_UNKNOWN, -1, 0, 2.5),
        ]
    ).assign(confidence=[0.91, 0.99, 0.2, 1.0, 0.95])  # fmt: skip
    table = reliability_points(scores).set_index(["images", "low"])
    high = table.loc[(SHIFTED, 0.9)]
    assert high["confidence"] == pytest.approx(0.95)
    assert (high["correct"], high["share"]) == (0.5, pytest.approx(2 / 3))
    assert table.loc[(SHIFTED, 0.1), "correct"] == 1.0  # 0.2 closes the bin from 0.1
    assert table.loc[(KNOWN, 0.9), "share"] == 1.0
    assert len(table) == 3
