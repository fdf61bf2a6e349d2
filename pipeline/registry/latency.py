"""How long a version takes for one image, against another one, in turns on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PAIRS, FEWEST = 40, 5
_SECONDS = 10.0  # in which as many of the pairs are made as fit
_AT_LEAST = 0.002  # seconds of one measurement; a shorter graph is called several times, since wake-ups jitter
_WARM_UP = 3


class Latency(NamedTuple):
    """Times of one against times of the other, pair by pair.

    Attributes:
        ratio: the median; 2 means twice as long.
        low, high: half of the pairs lie between them.
        pairs: how many.
    """

    ratio: float
    low: float
    high: float
    pairs: int


def compare_latency(graph: Path, other: Path) -> Latency:
    """Time two exported graphs on one grey image, on one core, in turns and in alternating order.

    Raises:
        CheckpointError: one of them cannot run.
    """
    from pipeline.serving.session import grey_inputs, make_session

    def runner(path: Path) -> Callable[[], object]:
        session = make_session(path, "cpu", threads=1)  # the other session's idle threads would take the cores
        inputs = grey_inputs(session)
        return lambda: session.run(None, inputs)

    return time_pairs(runner(graph), runner(other))


def time_pairs(
    action: Callable[[], object],
    other: Callable[[], object],
    *,
    clock: Callable[[], float] = time.perf_counter,
    seconds: float = _SECONDS,
) -> Latency:
    """Time two actions in turns: what else the machine does meets both.

    Args:
        action, other: what is timed.
        clock: in seconds.
        seconds: after which no pair begins, but for the fewest that count.
    """
    import numpy as np

    def timed(call: Callable[[], object], count: int) -> float:
        started = clock()
        for _ in range(count):
            call()
        return (clock() - started) / count

    for call in (action, other):
        timed(call, _WARM_UP)
    shorter = max(min(timed(action, 1), timed(other, 1)), 1e-9)
    count = max(1, math.ceil(_AT_LEAST / shorter))
    until, ratios = clock() + seconds, list[float]()
    while len(ratios) < FEWEST or (len(ratios) < PAIRS and clock() < until):
        order = (action, other) if len(ratios) % 2 else (other, action)
        times = {call: timed(call, count) for call in order}
        ratios.append(times[action] / max(times[other], 1e-9))
    low, ratio, high = (float(value) for value in np.quantile(ratios, [0.25, 0.5, 0.75]))
    return Latency(ratio, low, high, len(ratios))
