"""The gate's comparison of latency."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import pytest

from pipeline.registry.latency import FEWEST, PAIRS, compare_latency, time_pairs


class Clock:
    """Time that passes only while something is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def takes(self, *seconds: float) -> Callable[[], None]:
        each = cycle(seconds)

        def action() -> None:
            self.now += next(each)

        return action


def test_ratio_is_the_median_of_the_pairs() -> None:
    clock = Clock()
    found = time_pairs(clock.takes(0.03), clock.takes(0.02), clock=clock)
    assert found == (pytest.approx(1.5), pytest.approx(1.5), pytest.approx(1.5), PAIRS)


def test_an_interruption_of_a_few_calls_does_not_move_it() -> None:
    clock = Clock()
    found = time_pairs(clock.takes(*[0.01] * 9, 1.0), clock.takes(0.01), clock=clock, seconds=100.0)
    assert found[:3] == (pytest.approx(1.0), pytest.approx(1.0), pytest.approx(1.0))


def test_a_slow_graph_is_called_a_few_times_only() -> None:
    clock = Clock()
    found = time_pairs(clock.takes(8.0), clock.takes(4.0), clock=clock)
    assert (found.ratio, found.pairs) == (pytest.approx(2.0), FEWEST)


def test_a_short_action_is_repeated_within_a_measurement() -> None:
    clock, calls = Clock(), 0

    def action() -> None:
        nonlocal calls
        calls += 1
        clock.now += 0.0001

    time_pairs(action, clock.takes(0.0001), clock=clock)
    assert calls == 3 + 1 + 20 * PAIRS  # 2 ms each


def test_the_tiny_graph_against_itself(write_tiny_model, tmp_path) -> None:
    graph = write_tiny_model(tmp_path / "export") / "model.onnx"
    found = compare_latency(graph, graph)
    assert 0.0 < found.low <= found.ratio <= found.high
    assert found.pairs == PAIRS
