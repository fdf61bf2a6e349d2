"""The batcher alone: what an inference that fails costs."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.service.batcher import Batcher
from pipeline.service.refusals import RefusalError


def test_an_inference_that_fails_is_a_503_and_the_next_one_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        calls.append(len(pixels))
        if len(calls) == 1:
            raise MemoryError("no room\nfor a tensor")
        return [pixels[:, 0, 0, 0].astype(np.float32)]

    async def ask(threads: ThreadPoolExecutor) -> tuple[RefusalError, float]:
        batcher = Batcher(run, 4, 0.0, 8)
        image = np.full((2, 2, 3), 7, np.uint8)
        with pytest.raises(RefusalError) as caught:
            await batcher.answer(lambda: image, threads)
        return caught.value, float((await batcher.answer(lambda: image, threads))[0])

    with ThreadPoolExecutor(2) as threads, caplog.at_level(logging.ERROR):
        refused, answer = asyncio.run(ask(threads))
    assert (refused.status, refused.headers) == (503, {"Retry-After": "1"})
    assert "the inference failed" in refused.message
    assert answer == 7.0
    assert [record.getMessage() for record in caplog.records] == ["inference of 1 images failed: no room for a tensor"]
