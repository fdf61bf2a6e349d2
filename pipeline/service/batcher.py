"""Images of many requests, run together: one inference at a time, on whatever waits when it starts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.service.refusals import busy

if TYPE_CHECKING:
    import numpy as np

Run = Callable[["np.ndarray"], Sequence["np.ndarray"]]
"""(B, S, S, 3) uint8 to arrays of B rows each; called in a thread of its own."""


@dataclass
class _Waiting:
    pixels: np.ndarray
    answer: asyncio.Future[list[Any]]


@dataclass
class Batcher:
    """Collects images and runs them; all methods belong to one event loop.

    A batch starts when the one before has ended. It waits for more images only while admitted ones are still being
    decoded, for at most `max_delay` seconds: a lone request never waits.

    Attributes:
        run: the inference.
        max_batch: images of one inference.
        max_delay: seconds.
        capacity: images that are admitted at one time: being decoded, waiting, or running.
        observe: is told the size of each batch.
    """

    run: Run
    max_batch: int
    max_delay: float
    capacity: int
    observe: Callable[[int], None] = lambda size: None
    admitted: int = 0
    _held: int = 0
    _decoding: int = 0
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "inference"))
    _task: asyncio.Task[None] | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the batcher open in the block: a request that has begun may still be reading its body."""
        self._held += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._held -= 1
            if not self._held:
                self._idle.set()

    @contextmanager
    def admit(self, count: int) -> Iterator[None]:
        """Take the place of `count` images in the queue for the time of the block.

        Raises:
            RefusalError: 503, there is no place for them now.
        """
        if self.admitted + count > self.capacity:
            raise busy(f"the queue is full ({self.capacity} images); try again later")
        self.admitted += count
        try:
            yield
        finally:
            self.admitted -= count

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """An admitted image is being decoded in the block; a batch may wait for it."""
        self._decoding += 1
        try:
            yield
        finally:
            self._decoding -= 1
            self._changed.set()

    async def answer(self, pixels: np.ndarray) -> list[Any]:
        """One image's row of each array that `run` returns.

        Args:
            pixels: (S, S, 3) uint8.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        waiting = _Waiting(pixels, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._changed.set()
        return await waiting.answer  # cancelling the caller cancels the future, and the image is dropped

    async def close(self) -> None:
        """Wait for the requests that hold it, then end."""
        if self._held:
            await self._idle.wait()
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                self._changed.clear()
                await self._changed.wait()
            await self._gather(loop)
            batch = self._next()
            if not batch:
                continue
            self.observe(len(batch))
            try:
                rows = await loop.run_in_executor(self._thread, self._rows, batch)
            except Exception as error:  # an inference that fails costs its own requests only
                for item in batch:
                    if not item.answer.done():
                        item.answer.set_exception(error)
                continue
            for item, row in zip(batch, rows, strict=True):
                if not item.answer.done():
                    item.answer.set_result(row)

    async def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait while images are being decoded, until a batch is full or `max_delay` has passed."""
        if not self._decoding or not self.max_delay or len(self._waiting) >= self.max_batch:
            return
        late = loop.call_later(self.max_delay, self._changed.set)
        until = loop.time() + self.max_delay
        while self._decoding and len(self._waiting) < self.max_batch and loop.time() < until:
            self._changed.clear()
            await self._changed.wait()
        late.cancel()

    def _next(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self.max_batch:
            item = self._waiting.popleft()
            if not item.answer.done():  # else its client has gone
                batch.append(item)
        return batch

    def _rows(self, batch: list[_Waiting]) -> list[list[Any]]:
        import numpy as np

        arrays = self.run(np.stack([item.pixels for item in batch]))
        return [[array[index] for array in arrays] for index in range(len(batch))]
