"""From image files to the pixels of their views, ahead of the encoder: by threads, or by processes for a GPU."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import DataError, PipelineError
from pipeline.images import open_rgb
from pipeline.process.parent import end_with

if TYPE_CHECKING:
    import numpy as np

    from pipeline.backbone.views import Views


class Work(NamedTuple):
    """One image and those of its views that the store lacks: `items` are (view number, store key)."""

    path: str
    sha256: str
    pixels: int
    items: list[tuple[int, str]]


def decoded(
    works: Sequence[Work], root: Path, recipe: Views, *, ahead: int, workers: int, processes: bool = False
) -> Iterator[tuple[Work, list[np.ndarray]]]:
    """Works with their pictures, in their order, decoded at most about `ahead` pictures in front.

    Pillow decodes and resizes without the interpreter's lock, so threads are enough where the encoder itself keeps the
    processor busy. With a GPU they would compete with the thread that feeds it: there, take processes.

    Args:
        works: what to decode.
        root: folder of the images.
        recipe: how views are made.
        ahead: pictures decoded and not yet taken; bounds the memory.
        workers: threads or processes.
        processes: which of the two.
    Returns:
        Pairs of a work and its pictures, (size, size, 3) uint8 each.
    Raises:
        DataError: an image cannot be read or is not the one that was ingested.
        PipelineError: a process that decodes was killed.
    """
    pending: deque[tuple[Work, Future[list[np.ndarray]]]] = deque()
    queued = 0
    rest = iter(works)
    with _pool(min(workers, max(1, len(works))), processes) as pool:
        try:
            while True:
                while queued < ahead and (work := next(rest, None)) is not None:
                    pending.append((work, pool.submit(_pictures, work, root, recipe)))
                    queued += len(work.items)
                if not pending:
                    return
                work, future = pending.popleft()
                yield work, future.result()
                queued -= len(work.items)
        except BrokenExecutor:
            raise PipelineError(
                "featurize: a process that decodes images was killed, perhaps because memory ran out; "
                "lower featurize.workers or featurize.batch_size and run again"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _pool(workers: int, processes: bool) -> Executor:
    if not processes:
        return ThreadPoolExecutor(workers, thread_name_prefix="decode")
    # A fork would copy a process whose CUDA context and threads do not survive it.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with, initargs=(os.getpid(),))


def _pictures(work: Work, root: Path, recipe: Views) -> list[np.ndarray]:
    try:
        content = (root / work.path).read_bytes()
    except OSError as error:
        raise DataError(f"{work.path}: cannot be read: {error.strerror}; run `dvc repro` to ingest again") from None
    if hashlib.sha256(content).hexdigest() != work.sha256:
        raise DataError(f"{work.path}: has changed since it was ingested; run `dvc repro` to ingest again")
    image = open_rgb(content, max_pixels=work.pixels, name=work.path)
    return [recipe.pixels(image, work.sha256, view) for view, _ in work.items]
