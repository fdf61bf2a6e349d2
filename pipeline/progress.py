"""Progress of long work: a bar with rate and ETA on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LOG_SECONDS = 10.0


class Progress:
    """Counts finished units of work; use as a context manager.

    Args:
        label: what is being done.
        total: units in all.
        unit: the name of one unit.
    """

    def __init__(self, label: str, total: int, unit: str = "it") -> None:
        from tqdm import tqdm

        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, desc=label, unit=f" {unit}", disable=not self._terminal, dynamic_ncols=True)
        self._label, self._total, self._unit = label, total, unit
        self.done = self._reported = 0
        self._start = self._printed = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if not self._terminal and self.done != self._reported:
            self._line()

    def advance(self, count: int = 1) -> None:
        """Count finished units."""
        self.done += count
        self._bar.update(count)
        if not self._terminal and time.monotonic() - self._printed >= LOG_SECONDS:
            self._line()

    def _line(self) -> None:
        now = time.monotonic()
        seconds = max(now - self._start, 1e-9)
        rate = self.done / seconds
        left = (self._total - self.done) / rate if rate else float("inf")
        ending = f"done in {seconds:.1f} s" if self.done >= self._total else f"about {left:.0f} s left"
        print(
            f"{self._label}: {self.done}/{self._total} {self._unit}, {rate:.1f} {self._unit}/s, {ending}",
            file=sys.stderr,
            flush=True,
        )
        self._printed, self._reported = now, self.done


def track(items: Iterable[T], label: str, total: int, unit: str = "it") -> Iterator[T]:
    """Yield `items`, showing progress."""
    with Progress(label, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
