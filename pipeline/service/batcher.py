"""Images of many requests, run together: one inference at a time, on whatever waits when it starts.

The thread that has decoded an image also runs the inference, unless another thread does so already; then it leaves the
image to that one. A lone request so changes threads only twice, which counts where the cores are busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.service.refusals import busy

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger("croft.serve")
Run = Callable[["np.ndarray"], Sequence["np.ndarray"]]
"""(B, S, S, 3) uint8 to arrays of B rows each; called in one thread at a time."""


@dataclass
class _Waiting:
    pixels: np.ndarray
    answer: asyncio.Future[list[Any]]


@dataclass
class Batcher:
    """Collects images and runs them; all public methods belong to one event loop.

    A batch starts when the one before has ended. It waits for more images only while admitted ones are still being
    decoded, for at most `max_delay` seconds: a lone request never waits.

    Attributes:
        run: the inference.
        max_batch: images of one inference.
        max_delay: seconds.
        capacity: images that are admitted at one time: being decoded, waiting, or running.
        observe: is told the size of each batch, in any thread.
    """

    run: Run
    max_batch: int
    max_delay: float
    capacity: int
    observe: Callable[[int], None] = lambda size: None
    admitted: int = 0
    _held: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    # The fields below belong to whoever has the lock of _changed.
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _decoding: int = 0
    _led: bool = False

    @contextmanager
    def hold(self) -> Iterator[None]:
        """A request uses the batcher in the block, though it may still be reading its body; see `close`."""
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

    async def answer(self, decode: Callable[[], np.ndarray], threads: Executor) -> list[Any]:
        """One image's row of each array that `run` returns; cancelling the call drops the image.

        Args:
            decode: gives (S, S, 3) uint8; what it raises is raised here.
            threads: where images are decoded and run.
        """
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        with self._changed:
            self._decoding += 1
        work = threads.submit(self._work, decode, answer)
        try:
            return await answer
        finally:
            if work.cancel():  # it was still waiting for a thread
                self._decoded(None)

    async def close(self) -> None:
        """Wait until no request holds it."""
        if self._held:
            await self._idle.wait()

    def _work(self, decode: Callable[[], np.ndarray], answer: asyncio.Future[list[Any]]) -> None:
        """In a thread: decode one image, and run batches if no other thread does."""
        item = None
        try:
            if not answer.done():  # else its client has gone
                item = _Waiting(decode(), answer)
        except Exception as error:
            _tell(answer, _fail, [answer], error)
        if self._decoded(item):
            while batch := self._next():
                self._answer(batch)

    def _decoded(self, item: _Waiting | None) -> bool:
        """Count one image less in decoding; True if this thread must run the batches from now on."""
        with self._changed:
            self._decoding -= 1
            self._changed.notify()
            if item is None:
                return False
            self._waiting.append(item)
            leads, self._led = not self._led, True
            return leads

    def _next(self) -> list[_Waiting]:
        """The images of the next batch; none, and this thread no longer runs them."""
        with self._changed:
            until = time.monotonic() + self.max_delay
            while self._waiting and self._decoding and len(self._waiting) < self.max_batch:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._changed.wait(left)
            batch: list[_Waiting] = []
            while self._waiting and len(batch) < self.max_batch:
                item = self._waiting.popleft()
                if not item.answer.done():
                    batch.append(item)
            self._led = bool(batch)
            return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        import numpy as np

        answers = [item.answer for item in batch]
        try:
            self.observe(len(batch))
            arrays = self.run(np.stack([item.pixels for item in batch]))
            rows = [[array[index] for array in arrays] for index in range(len(batch))]
        except Exception as error:  # an inference that fails costs its own requests only
            logger.error("inference of %d images failed: %s", len(batch), " ".join(str(error).split())[:300])
            _tell(answers[0], _fail, answers, busy("the inference failed; try again later, and see the server's log"))
        else:
            _tell(answers[0], _fill, answers, rows)


def _tell(answer: asyncio.Future[list[Any]], call: Callable[..., None], *arguments: object) -> None:
    """Make a call in the event loop of an answer."""
    with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
        answer.get_loop().call_soon_threadsafe(call, *arguments)


def _fill(answers: Sequence[asyncio.Future[list[Any]]], rows: Sequence[list[Any]]) -> None:
    for answer, row in zip(answers, rows, strict=True):
        if not answer.done():
            answer.set_result(row)


def _fail(answers: Sequence[asyncio.Future[list[Any]]], error: Exception) -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)
