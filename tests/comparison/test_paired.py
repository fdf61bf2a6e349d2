"""Two evaluations on the images that both tested, on hand-made tables of scores."""

from __future__ import annotations

import pandas as pd
import pytest

from pipeline.comparison.paired import compare_scores
from pipeline.errors import DataError
from pipeline.evaluation.compare import WORST
from pipeline.tables import IN_DISTRIBUTION, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN


def known(
    right: list[int], target: str = "a", seed: int = 1, images: range = range(4), role: str = TEST_SHIFTED
) -> list:
    """Images of class 0 with scores 0, 1, 2, ..."""
    return [("m", target, seed, f"{target}/k{i}", role, 0, 0 if i in right else 1, float(i)) for i in images]


def unknown(scores: list[float], target: str = "a", seed: int = 1) -> list:
    return [("m", target, seed, f"{target}/u{i}", TEST_UNKNOWN, -1, 0, score) for i, score in enumerate(scores)]


def test_numbers_by_hand(table_of) -> None:
    # A is right on 2 of 4 in a and 4 of 4 in b, B on 3 of 4 in both. Unknown images of a: A's lie above 3 and 2 of four
    # known ones, B's above all.
    a = table_of(known([0, 1]) + unknown([2.5, 1.5]) + known([0, 1, 2, 3], "b"))
    b = table_of(known([0, 1, 2]) + unknown([9.0, 9.0]) + known([0, 1, 2], "b"))
    rows, coverage = compare_scores(a, b, resamples=200)
    found = {row.metric: (row.a, row.b, row.difference.value) for row in rows}
    assert found == {
        "accuracy": (0.75, 0.75, 0.0),
        WORST: (0.5, 0.75, 0.25),
        "auroc": (5 / 8, 1.0, 3 / 8),
        # All four known images are accepted up to 3: both unknown ones of A, none of B. Rejecting both unknown images
        # rejects the known ones from 1.5 in A: two of four.
        "fpr95_id_positive": (1.0, 0.0, -1.0),
        "fpr95_ood_positive": (0.5, 0.0, -0.5),
    }
    assert (coverage.known, coverage.unknown, coverage.targets, coverage.seeds) == (8, 2, ("a", "b"), (1,))
    assert (coverage.only_a, coverage.only_b, coverage.other_bytes, coverage.held_out) == (0, 0, 0, True)


def test_only_images_that_both_tested_count(table_of) -> None:
    a = table_of(known([0, 1, 2, 3], images=range(6)) + known([0], "b") + unknown([1.0], "b"))
    b = table_of(known([4, 5, 6, 7], images=range(2, 8)) + known([0], "c", images=range(3)))
    rows, coverage = compare_scores(a, b, resamples=50)
    # Images 2 to 5: A is right on 2 and 3, B on 4 and 5.
    assert [(row.metric, row.a, row.b) for row in rows] == [("accuracy", 0.5, 0.5)]
    assert (coverage.known, coverage.unknown) == (4, 0)
    assert (coverage.only_a, coverage.only_b) == (2 + 5, 2 + 3)
    assert (coverage.targets, coverage.targets_only_a, coverage.targets_only_b) == (("a",), ("b",), ("c",))


def test_images_with_other_bytes_are_left_out(table_of) -> None:
    a, b = table_of(known([0, 1, 2, 3])), table_of(known([0, 1]))
    rows, coverage = compare_scores(a, b, resamples=50, other_bytes={"a/k3", "elsewhere"})
    assert (coverage.known, coverage.other_bytes, coverage.only_a) == (3, 1, 0)
    assert rows[0].b == pytest.approx(2 / 3)


def test_an_image_in_another_role_or_seed_is_not_the_same(table_of) -> None:
    a = table_of(known([0]) + known([0], seed=2))
    b = table_of(known([0], seed=2, images=range(2)) + unknown([1.0], seed=2))
    rows, coverage = compare_scores(a, b, resamples=50)
    assert (coverage.known, coverage.seeds) == (2, (2,))
    assert [row.metric for row in rows] == ["accuracy"]


def test_without_a_held_out_domain(table_of) -> None:
    a = table_of(known([0, 1], IN_DISTRIBUTION, role=TEST_ID))
    rows, coverage = compare_scores(a, a, resamples=50)
    assert not coverage.held_out
    assert [(row.metric, row.difference.value) for row in rows] == [("accuracy", 0.0)]


def test_nothing_in_common_says_what_each_tested(table_of) -> None:
    with pytest.raises(DataError, match="A: domains a, seeds 1, 2; B: domains b, seeds 1"):
        compare_scores(table_of(known([0]) + known([0], seed=2)), table_of(known([0], "b")), resamples=5)


def test_groups_are_drawn_together(table_of) -> None:
    a, b = table_of(known([0, 1], images=range(40))), table_of(known([1, 2, 3, 4, 5], images=range(40)))
    paths = [f"a/k{i}" for i in range(40)]
    one = pd.Series("one", index=paths)
    (row,), _ = compare_scores(a, b, resamples=50, groups=one)
    assert row.difference.low == row.difference.high == row.difference.value  # one group: every resample is the same
