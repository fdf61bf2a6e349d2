"""Times of rival ways to do the same work, taken in turn in one process, so that what else runs meets all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Action = Callable[[], object]


class Times(NamedTuple):
    """Seconds of one action, one entry per round: on the clock, and of this process on all its cores."""

    wall: list[float]
    cpu: list[float]


class Ratio(NamedTuple):
    """How many times faster: median, lowest and highest over rounds by the clock; median by CPU time."""

    median: float
    low: float
    high: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.median:.2f} x ({self.low:.2f} to {self.high:.2f}; CPU time {self.cpu:.2f} x)"


def alternate(actions: Mapping[str, Action], rounds: int, *, repeats: int = 1, device: str = "cpu") -> dict[str, Times]:
    """Run all actions once unmeasured, then `rounds` times in turn, the first one changing from round to round.

    Args:
        actions: what to time, by name.
        rounds: >= 1.
        repeats: calls per measurement, for actions that take less than a few milliseconds.
        device: what to wait for after an action.
    Returns:
        Seconds per call.
    """
    import torch

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    names = list(actions)
    found = {name: Times([], []) for name in names}
    for name in names:
        actions[name]()
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            wait()
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeats):
                actions[name]()
            wait()
            found[name].wall.append((time.perf_counter() - wall) / repeats)
            found[name].cpu.append((time.process_time() - cpu) / repeats)
    return found


def ratio(slow: Times, fast: Times) -> Ratio:
    """How many times faster `fast` is, round by round."""
    walls = _quotients(slow.wall, fast.wall)
    return Ratio(statistics.median(walls), min(walls), max(walls), statistics.median(_quotients(slow.cpu, fast.cpu)))


def _quotients(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [a / max(b, 1e-9) for a, b in zip(first, second, strict=True)]


def peak_bytes(action: Action, device: str = "cpu") -> int:
    """Most memory that tensors made by the action held at one time, bytes."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        action()
        return torch.cuda.max_memory_allocated() - before
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        action()
    results = trace.profiler.kineto_results
    changes = [(event.start_ns(), event.nbytes()) for event in results.events() if event.name() == "[memory]"]
    held = most = 0
    for _, change in sorted(changes, key=lambda entry: entry[0]):
        held += change
        most = max(most, held)
    return most
