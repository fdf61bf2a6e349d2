"""Phrases that many messages share."""

from __future__ import annotations

import pytest

from pipeline.phrases import counted, shorten, suggest


def test_the_nearest_name_is_suggested_and_else_all_are_listed() -> None:
    assert suggest("tagrets", ["seeds", "targets"]) == "did you mean 'targets'?"
    assert suggest("xyz", ["seeds", "targets"]) == "known: seeds, targets"
    assert suggest("xyz", ["seeds"], label="known keys") == "known keys: seeds"


@pytest.mark.parametrize(
    ("items", "most", "total", "says"),
    [
        (["a", "b"], 2, None, "a, b"),
        (["a", "b", "c"], 2, None, "a, b, and 1 more"),
        (["a", "b"], 2, 1002, "a, b, and 1,000 more"),
        ([], 3, None, ""),
    ],
)
def test_a_long_list_says_how_many_more_there_are(items: list[str], most: int, total: int | None, says: str) -> None:
    assert shorten(items, most, total=total) == says


def test_another_separator_also_stands_before_the_rest() -> None:
    assert shorten(["a is wrong", "b is wrong"], 1, separator="; ") == "a is wrong; and 1 more"


@pytest.mark.parametrize(
    ("number", "noun", "plural", "says"),
    [
        (1, "image", None, "1 image"),
        (0, "image", None, "0 images"),
        (2000, "class", None, "2,000 classes"),
        (2, "entry", "entries", "2 entries"),
    ],
)
def test_counts_agree_with_their_nouns(number: int, noun: str, plural: str | None, says: str) -> None:
    assert counted(number, noun, plural) == says
