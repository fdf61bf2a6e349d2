"""Tables for plots: they must say what the metrics say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.curves import accuracy_points, class_points, history_points, roc_points, score_histogram
from pipeline.evaluation.summary import summarise
from pipeline.tables import DEPLOY, HISTORY, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID


def test_area_under_the_average_curve_is_the_mean_auroc(scores, summary) -> None:
    points = roc_points(scores, points=2001)
    for method, rows in points.groupby("method"):
        area = np.trapezoid(rows["unknown_rejected"], rows["known_rejected"])
        auroc = summary[method]["mean"]["auroc"]
        assert area == pytest.approx(auroc, abs=2e-3)


def test_each_open_set_has_a_curve_of_its_own(table_of) -> None:
    known = [("m", "a", 1, f"k{i}", TEST_SHIFTED, 0, 0, float(i)) for i in range(4)]
    unknown = [("m", "a", 1, f"u{i}", TEST_UNKNOWN, -1, 0, 9.0) for i in range(2)]
    pool = [("m", "a", 1, f"p{i}", TEST_UNKNOWN, -1, 0, 1.5, "tex") for i in range(2)]
    points = roc_points(table_of([*known, *unknown, *pool]), points=11)
    assert list(dict.fromkeys(points["open_set"])) == ["classes", "tex"]
    area = {
        name: np.trapezoid(rows["unknown_rejected"], rows["known_rejected"])
        for name, rows in points.groupby("open_set")
    }
    # All unknown images lie above all known ones; those of the pool above 0 and 1, below 2 and 3.
    assert area["classes"] == pytest.approx(1.0)
    assert area["tex"] == pytest.approx(0.5, abs=0.1)  # the grid has eleven points


def test_roc_runs_from_left_to_right_and_up(scores) -> None:
    points = roc_points(scores)
    assert len(points) == 2 * 61
    for _, rows in points.groupby("method"):
        assert (np.diff(rows["known_rejected"]) > 0).all()
        assert (np.diff(rows["unknown_rejected"]) >= -1e-12).all()
        assert rows[["known_rejected", "unknown_rejected"]].iloc[-1].tolist() == [1.0, 1.0]


def test_roc_without_unknown_images_is_an_empty_table(scores) -> None:
    points = roc_points(scores[scores["role"] != TEST_UNKNOWN])
    assert points.empty
    assert list(points.columns) == ["method", "open_set", "known_rejected", "unknown_rejected"]


def test_histogram_by_hand(table_of) -> None:
    known = [("m", "a", 1, f"k{i}", TEST_SHIFTED, 0, 0, score) for i, score in enumerate([0.0, 0.9, 1.1, 4.0])]
    scores = table_of([*known, ("m", "a", 1, "i", TEST_ID, 0, 0, 2.5)])
    found = score_histogram(scores, 4)  # edges 0 1 2 3 4; the last bin holds its right edge
    assert found[found["images"] == TEST_SHIFTED]["share"].tolist() == [0.5, 0.25, 0.0, 0.25]
    assert found[found["images"] == TEST_ID]["share"].tolist() == [0.0, 0.0, 1.0, 0.0]
    assert found["score"].tolist()[:4] == [0.5, 1.5, 2.5, 3.5]


def test_histogram_shows_each_open_set_and_no_unknown_image_of_the_sources(table_of) -> None:
    rows = [("m", "a", 1, "k", TEST_SHIFTED, 0, 0, 0.0), ("m", "a", 1, "u", TEST_UNKNOWN, -1, 0, 1.0)]
    rows += [("m", "a", 1, "p", TEST_UNKNOWN, -1, 0, 2.0, "tex"), ("m", "a", 1, "s", TEST_UNKNOWN_ID, -1, 0, 99.0)]
    found = score_histogram(table_of(rows), 2)
    assert list(dict.fromkeys(found["images"])) == [TEST_SHIFTED, "classes", "tex"]
    assert found["high"].max() == 2.0


def test_histogram_shares_sum_to_one_for_each_kind(scores) -> None:
    sums = score_histogram(scores, 40).groupby(["method", "images"])["share"].sum()
    assert len(sums) == 6
    np.testing.assert_allclose(sums, 1.0)


def test_history_is_the_mean_over_fits_that_hold_out_a_domain() -> None:
    rows = [
        ("m", "a", 1, 0, 0.1, 4.0, 2.0, 0.5),
        ("m", "b", 1, 0, 0.1, 2.0, 1.0, 0.7),
        ("m", DEPLOY, 1, 0, 0.1, 99.0, 99.0, 0.0),
        ("m", "a", 1, 1, 0.1, float("inf"), 1.0, 0.9),  # diverges here
        ("m", "b", 1, 1, 0.1, 1.0, 0.5, 0.9),
    ]
    found = history_points(pd.DataFrame(rows, columns=list(HISTORY.columns)))
    assert found.to_dict("list") == {
        "method": ["m", "m"],
        "epoch": [0, 1],
        "loss": [3.0, 1.0],
        "cross_entropy": [1.5, 0.75],
        "validation_accuracy": [pytest.approx(0.6), 0.9],
    }


def test_a_long_history_is_thinned_and_keeps_its_ends() -> None:
    rows = [("m", "a", 1, epoch, 0.1, 1.0, 1.0, 0.5) for epoch in range(1000)]
    epochs = history_points(pd.DataFrame(rows, columns=list(HISTORY.columns)), points=50)["epoch"].tolist()
    assert len(epochs) == 50
    assert (epochs[0], epochs[-1]) == (0, 999)


def test_no_history_is_an_empty_table() -> None:
    assert history_points(pd.DataFrame(columns=list(HISTORY.columns)).astype(dict(HISTORY.columns))).empty


def test_accuracy_points_of_one_seed_have_no_spread(table_of) -> None:
    scores = table_of([("m", "a", 1, f"k{i}", TEST_SHIFTED, 0, 0, float(i)) for i in range(4)])
    points = accuracy_points(summarise(scores))
    assert points["accuracy"].tolist() == [1.0, 1.0]
    assert points["accuracy_spread"].dtype == "float64"
    assert points["accuracy_spread"].isna().all()


def test_accuracy_points_hold_every_row_of_the_summary(summary) -> None:
    points = accuracy_points(summary)
    assert points["target"].tolist() == ["ink", "oil", "web", "mean"] * 2
    assert points["accuracy"].tolist() == [row["accuracy"] for rows in summary.values() for row in rows.values()]


def test_classes_by_hand(table_of) -> None:
    # Two seeds with other known classes: cat has the label 0 in one fit and 1 in the other.
    scores = table_of(
        [
            ("m", "a", 1, "cat/0", TEST_SHIFTED, 0, 0, 0.0),
            ("m", "a", 1, "cat/1", TEST_SHIFTED, 0, 1, 0.0),
            ("m", "a", 1, "dog/0", TEST_SHIFTED, 1, 1, 0.0),
            ("m", "a", 1, "dog/1", TEST_ID, 1, 0, 0.0),  # not what accuracy is about
            ("m", "a", 1, "yak/0", TEST_UNKNOWN, -1, 0, 0.0),
            ("m", "a", 2, "bee/0", TEST_SHIFTED, 0, 1, 0.0),
            ("m", "a", 2, "cat/0", TEST_SHIFTED, 1, 1, 0.0),
            ("b", "a", 1, "cat/0", TEST_SHIFTED, 0, 1, 0.0),
        ]
    )
    paths = pd.Series(["bee/0", "cat/0", "cat/1", "dog/0", "dog/1", "yak/0"])
    manifest = pd.DataFrame({"path": paths, "class": paths.str.split("/").str[0]})
    table = class_points(scores, manifest.sample(frac=1.0, random_state=0))
    expected = [("m", "bee", 1, 0.0), ("m", "cat", 2, pytest.approx(2 / 3)), ("m", "dog", 1, 1.0), ("b", "cat", 1, 0.0)]
    assert list(table.itertuples(index=False, name=None)) == expected
    with pytest.raises(DataError, match="manifest: no row for bee/0"):
        class_points(scores, manifest[1:])


def test_classes_say_what_the_accuracy_says(scores, summary, manifest) -> None:
    # Each domain and seed tests as many images, so the mean over images is the mean over domains and seeds.
    table = class_points(scores, manifest)
    for method, rows in table.groupby("method"):
        assert np.average(rows["accuracy"], weights=rows["n"]) == pytest.approx(summary[method]["mean"]["accuracy"])
        assert rows["n"].sum() == summary[method]["mean"]["n"]
