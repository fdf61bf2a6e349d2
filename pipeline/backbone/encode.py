"""The stream from image files through the encoder into the store: decoded ahead by threads, stored batch by batch."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.backbone.views import CLEAN
from pipeline.errors import DataError
from pipeline.images import open_rgb
from pipeline.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipeline.backbone.load import Backbone
    from pipeline.backbone.store import EmbeddingStore
    from pipeline.backbone.views import Views


class Work(NamedTuple):
    """One image and those of its views that the store lacks: `items` are (view number, store key)."""

    path: str
    sha256: str
    pixels: int
    items: list[tuple[int, str]]


def plan(
    manifest: pd.DataFrame, augmented: Mapping[str, Sequence[int]], store: EmbeddingStore, recipe: Views
) -> list[Work]:
    """What the store lacks, image by image in the order of the manifest.

    Args:
        manifest: MANIFEST table; every image gets its clean view.
        augmented: the view numbers of each image that has more.
        store: where views that are there already are looked up.
        recipe: how views are made.
    """
    rows = list(zip(manifest["path"], manifest["sha256"], manifest["width"] * manifest["height"], strict=True))
    wanted = [(CLEAN, *augmented.get(path, ())) for path, _, _ in rows]
    keys = [recipe.key(row[1], view) for row, numbers in zip(rows, wanted, strict=True) for view in numbers]
    found = iter(zip(keys, store.contains(keys), strict=True))
    works = []
    for (path, content, pixels), numbers in zip(rows, wanted, strict=True):
        items = [(view, key) for view, (key, there) in ((view, next(found)) for view in numbers) if not there]
        if items:
            works.append(Work(path, content, int(pixels), items))
    return works


def encode(
    works: Sequence[Work],
    root: Path,
    backbone: Backbone,
    store: EmbeddingStore,
    recipe: Views,
    *,
    batch_size: int,
    workers: int,
) -> float:
    """Encode and store all works, batch by batch in their order.

    The order and one transaction per batch make a run that was killed go on with the very batches that it would have
    made, so that its numbers are those of a run that was not.

    Args:
        works: as `plan` returns them.
        root: folder of the images.
        backbone: the frozen CLIP.
        store: where rows go.
        recipe: how views are made.
        batch_size: views per forward pass and transaction.
        workers: threads that decode.
    Returns:
        Seconds that the encoder waited for images.
    Raises:
        DataError: an image cannot be read or is not the one that was ingested.
    """
    import numpy as np

    buffer = np.empty((batch_size, recipe.size, recipe.size, 3), dtype=np.uint8)
    keys: list[str] = []
    waited = 0.0

    def flush() -> None:
        store.put_many(keys, backbone.encode_images(buffer[: len(keys)]))
        progress.advance(len(keys))
        keys.clear()

    with Progress("featurize", sum(len(work.items) for work in works), "views") as progress:
        decoded = _decoded(works, root, recipe, 2 * batch_size, workers)
        while True:
            asked = time.monotonic()
            item = next(decoded, None)
            waited += time.monotonic() - asked
            if item is None:
                break
            work, pictures = item
            for (_, key), picture in zip(work.items, pictures, strict=True):
                buffer[len(keys)] = picture
                keys.append(key)
                if len(keys) == batch_size:
                    flush()
        if keys:
            flush()
    return waited


def _decoded(
    works: Sequence[Work], root: Path, recipe: Views, ahead: int, workers: int
) -> Iterator[tuple[Work, list[np.ndarray]]]:
    """Works with their pictures, in order, decoded by threads that stay at most about `ahead` pictures in front."""
    pending: deque[tuple[Work, Future[list[np.ndarray]]]] = deque()
    queued = 0
    rest = iter(works)
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
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
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _pictures(work: Work, root: Path, recipe: Views) -> list[np.ndarray]:
    try:
        content = (root / work.path).read_bytes()
    except OSError as error:
        raise DataError(f"{work.path}: cannot be read: {error.strerror}; run `dvc repro` to ingest again") from None
    if hashlib.sha256(content).hexdigest() != work.sha256:
        raise DataError(f"{work.path}: has changed since it was ingested; run `dvc repro` to ingest again")
    image = open_rgb(content, max_pixels=work.pixels, name=work.path)
    return [recipe.pixels(image, work.sha256, view) for view, _ in work.items]
