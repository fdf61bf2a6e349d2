"""Answers for any number of images: threads decode ahead of the graph, as far as a bounded queue lets them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.prediction.answers import Answer
from pipeline.prediction.files import Found

if TYPE_CHECKING:
    import numpy as np

    from pipeline.serving.predictor import Predictor

Decoded = tuple[Found, "Future[np.ndarray]"]


def answers(
    predictor: Predictor, found: Iterable[Found], *, batch: int, workers: int, top: int = 0
) -> Iterator[list[Answer]]:
    """Decide on images in their order, a batch at a time.

    At most two batches of decoded squares, and one image for each worker, are in memory.

    Args:
        predictor: decodes and decides.
        found: what `pipeline.prediction.files.find` yields.
        batch: images that the graph takes at once, at least 1.
        workers: threads that decode, at least 1; Pillow decodes without the interpreter's lock.
        top: how many of the most probable classes each answer lists.
    Yields:
        1 to `batch` answers; a bad image has an error, and costs no other its answer.
    """
    pending: deque[Decoded] = deque()
    rest = iter(found)
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            while True:
                while len(pending) < 2 * batch and (item := next(rest, None)) is not None:
                    pending.append((item, pool.submit(_pixels, predictor, item)))
                if not pending:
                    return
                yield _decide(predictor, [pending.popleft() for _ in range(min(batch, len(pending)))], top)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _pixels(predictor: Predictor, item: Found) -> np.ndarray:
    if item.problem:
        raise DataError(f"{item.path}: {item.problem}")
    return predictor.pixels(item.path, item.path)


def _decide(predictor: Predictor, batch: list[Decoded], top: int) -> list[Answer]:
    import numpy as np

    answered: list[Answer] = []
    good: list[int] = []
    pixels: list[np.ndarray] = []
    for row, (item, future) in enumerate(batch):
        try:
            pixels.append(future.result())
        except DataError as error:
            answered.append(Answer(item.path, error=str(error)))
        else:
            good.append(row)
            answered.append(Answer(item.path))
    if not good:
        return answered
    done = predictor.decide(np.stack(pixels))
    best = done.top(top) if top else [[] for _ in good]
    for index, row in enumerate(good):
        answered[row] = Answer(
            batch[row][0].path,
            done.labels[index],
            done.most_probable[index],
            float(done.probabilities[index].max()),
            float(done.score[index]),
            bool(done.unknown[index]),
            top=best[index],
        )
    return answered
