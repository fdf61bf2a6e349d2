"""From the images of one request to decisions: admitted, decoded in threads, batched, answered in time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from pipeline.errors import DataError
from pipeline.service.metrics import Metrics
from pipeline.service.model import Decision, Model
from pipeline.service.refusals import RefusalError, busy
from pipeline.service.settings import Settings
from pipeline.serving.inputs import pixels_of
from pipeline.serving.request import image_bytes

if TYPE_CHECKING:
    import numpy as np

    Image = bytes | str | np.ndarray
    """An encoded image, its base64 text, or (H, W, 3) uint8."""

GONE = 499
"""What the metrics call a request whose client went away; nobody receives it."""


class Deciding:
    """Decides on images.

    Args:
        settings: timeout, max_bytes, max_pixels and max_images count.
        metrics: counts the outcomes.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._pool = ThreadPoolExecutor(1 + (os.cpu_count() or 1), "images")  # one more runs the inference

    async def decide(self, request: Request, model: Model, images: Sequence[Image]) -> list[Decision | str]:
        """A decision for each image, or why there is none.

        Raises:
            RefusalError: 400 too many images; 503 no place in the queue, or no answer in time.
        """
        if len(images) > self._settings.max_images:
            limit = self._settings.max_images
            raise RefusalError(
                400, f"images: {len(images)}, more than the {limit} of one request; send several requests"
            )
        with model.batcher.admit(len(images)):
            found = await self._in_time(request, self._all(model, images))
        for item in found:
            outcome = "error" if isinstance(item, str) else "unknown" if item.unknown else "known"
            self._metrics.images.labels(model.source.version, outcome).inc()
        return found

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _all(self, model: Model, images: Sequence[Image]) -> list[Decision | str]:
        if len(images) == 1:
            return [await self._one(model, images[0], 0)]
        return await asyncio.gather(*(self._one(model, image, row) for row, image in enumerate(images)))

    async def _one(self, model: Model, image: Image, row: int) -> Decision | str:
        try:
            return await model.decide(lambda: self._pixels(image, model.size, f"image {row}"), self._pool)
        except DataError as error:
            return str(error)

    def _pixels(self, image: Image, size: int, name: str) -> np.ndarray:
        if isinstance(image, str):
            image = image_bytes(image, name)
        limits = {"max_bytes": self._settings.max_bytes, "max_pixels": self._settings.max_pixels}
        return pixels_of(image, size=size, name=name, **limits)

    async def _in_time(self, request: Request, work: Coroutine[Any, Any, list[Decision | str]]) -> list[Decision | str]:
        """What `work` gives; it is cancelled if it takes too long or the client goes away."""
        answer = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            both: set[asyncio.Future[Any]] = {answer, gone}
            await asyncio.wait(both, timeout=self._settings.timeout, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if gone.done():
                raise RefusalError(GONE, "the client went away")
            raise busy(f"no answer within {self._settings.timeout:g} seconds; try again later")
        finally:
            gone.cancel()
            answer.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
