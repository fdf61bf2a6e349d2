"""The measuring tools: ratios by hand, peak memory of known tensors, the page of results."""

from __future__ import annotations

import pytest
import torch

from benchmarks.__main__ import markdown
from benchmarks.measure import Times, alternate, peak_bytes, ratio


def test_ratio_by_hand() -> None:
    # Round by round 4/2 = 2, 9/3 = 3, 5/1 = 5; CPU 8/4 = 2, 6/6 = 1, 4/1 = 4.
    found = ratio(Times([4.0, 9.0, 5.0], [8.0, 6.0, 4.0]), Times([2.0, 3.0, 1.0], [4.0, 6.0, 1.0]))
    assert (found.median, found.low, found.high, found.cpu) == (3.0, 2.0, 5.0, 2.0)


def test_actions_take_turns_at_being_first() -> None:
    calls: list[str] = []
    times = alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"  # unmeasured first, then three rounds
    assert [len(value.wall) for value in times.values()] == [3, 3]


@pytest.mark.filterwarnings("ignore")  # the profiler's own
def test_peak_memory_of_known_tensors() -> None:
    def action() -> None:
        first = torch.ones(1000, 256)  # 1,024,000 bytes
        second = first + 1  # as much again while the first lives
        del first
        third = second + 1  # the first is gone: never three at a time
        del second, third

    assert 2 * 1_024_000 <= peak_bytes(action) < 2.1 * 1_024_000


def test_page_lists_every_part() -> None:
    page = markdown({"device": "cpu"}, {"grid": [{"runs": 12, "times faster": 3.14159, "lowest": float("nan")}]})
    assert "| runs | times faster | lowest |" in page
    assert "| 12 | 3.14 |  |" in page
