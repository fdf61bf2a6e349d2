"""The stack of champions, replayed by hand."""

from __future__ import annotations

import pytest

from pipeline.registry.journal import Entry, champions, entries


def journal(*moves: str) -> list[Entry]:
    """`1>2` promotes 2 over 1, `2<1` rolls back from 2 to 1."""
    made = []
    for number, move in enumerate(moves):
        mark = ">" if ">" in move else "<"
        before, after = move.split(mark)
        action = "promote" if mark == ">" else "rollback"
        made.append(Entry(f"2026-01-01T00:00:{number:02d}.000000+00:00", action, before, after))
    return made


@pytest.mark.parametrize(
    ("moves", "present", "stack"),
    [
        ([], "", []),
        ([], "4", ["4"]),  # given by hand, before the journal
        ([">1"], "1", ["1"]),
        ([">1", "1>2", "2>3"], "3", ["1", "2", "3"]),
        ([">1", "1>2", "2>3", "3<2"], "2", ["1", "2"]),
        ([">1", "1>2", "2>3", "3<2", "2<1"], "1", ["1"]),  # a second rollback goes further back, not forth again
        ([">1", "1>2", "2<1", "1>2"], "2", ["1", "2"]),
        ([">1", "1>2", "2<1", "1>3"], "3", ["1", "3"]),
        ([">1", "1>2", "2>1"], "1", ["2", "1"]),  # an old version promoted again: each is listed once
        ([">1", "1>2"], "9", ["1", "2", "9"]),  # moved by other hands since
        ([">1", "7>8"], "8", ["1", "7", "8"]),  # and in between
    ],
)
def test_stack_of_champions(moves: list[str], present: str, stack: list[str]) -> None:
    assert champions(journal(*moves), present) == stack


def test_entries_are_read_back_from_tags_oldest_first() -> None:
    made = journal(">1", "1>2", "2<1")
    tags = {entry.key: entry.to_json() for entry in reversed(made)}
    assert len(tags) == 3
    assert entries({**tags, "other": "x", "promotion.broken": "{"}) == made
