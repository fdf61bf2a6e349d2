"""The stream from image files through the encoder, decoded ahead of it, and batch by batch into the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbone.decode import Work, decoded
from pipeline.backbone.views import CLEAN
from pipeline.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipeline.backbone.protocol import Backbone
    from pipeline.backbone.store import EmbeddingStore
    from pipeline.backbone.views import Views


def plan(
    manifest: pd.DataFrame, augmented: Mapping[str, Sequence[int]], store: EmbeddingStore, recipe: Views
) -> list[Work]:
    """What the store lacks, image by image in the order of the manifest.

    Args:
        manifest: MANIFEST table; every image gets its clean view.
        augmented: the view numbers of each image that has more.
        store: of the views that need no encoding.
        recipe: how views are made.
    """
    rows = list(zip(manifest["path"], manifest["sha256"], manifest["width"] * manifest["height"], strict=True))
    wanted = [(CLEAN, *augmented.get(path, ())) for path, _, _ in rows]
    keys = [recipe.key(row[1], view) for row, numbers in zip(rows, wanted, strict=True) for view in numbers]
    stored = iter(zip(keys, store.contains(keys), strict=True))
    works = []
    for (path, content, pixels), numbers in zip(rows, wanted, strict=True):
        items = [(view, key) for view, (key, held) in ((view, next(stored)) for view in numbers) if not held]
        if items:
            works.append(Work(path, content, int(pixels), items))
    return works


@dataclass(frozen=True)
class ImageEncoder:
    """The frozen tower, the images that it encodes, and how fast.

    Attributes:
        backbone: the frozen CLIP.
        root: folder of the images.
        recipe: how views are made.
        batch_size: views per forward pass and transaction.
        workers: threads that decode; beside a GPU, processes.
    """

    backbone: Backbone
    root: Path
    recipe: Views
    batch_size: int
    workers: int

    def fill(self, store: EmbeddingStore, works: Sequence[Work]) -> float:
        """Encode and store all works, batch by batch in their order.

        The order and one transaction per batch make a run that was killed go on with the very batches that it would
        have made, so that its numbers are those of a run that was not.

        Args:
            store: where rows go.
            works: as `plan` returns them.
        Returns:
            Seconds that the encoder waited for images.
        Raises:
            DataError, PipelineError: as `decoded`.
        """
        waits: list[float] = []
        with Progress("featurize", sum(len(work.items) for work in works), "views") as progress:
            for keys, features in self.batches(works, waits.append):
                store.put_many(keys, features)
                progress.advance(len(keys))
        return sum(waits)

    def batches(
        self, works: Sequence[Work], on_wait: Callable[[float], object] = lambda seconds: None
    ) -> Iterator[tuple[list[str], np.ndarray]]:
        """Store keys and features, (B, D) float32 with B <= batch_size, of all works in their order.

        Args:
            works: as `plan` returns them.
            on_wait: called each time with the seconds that the encoder waited for an image.
        Raises:
            DataError, PipelineError: as `decoded`.
        """
        import numpy as np

        size = self.recipe.size
        buffer = np.empty((self.batch_size, size, size, 3), dtype=np.uint8)
        keys: list[str] = []
        pictures_ahead = decoded(
            works, self.root, self.recipe, ahead=2 * self.batch_size, workers=self.workers,
            processes=self.backbone.device.startswith("cuda"),
        )  # fmt: skip
        while True:
            asked = time.monotonic()
            item = next(pictures_ahead, None)
            on_wait(time.monotonic() - asked)
            if item is None:
                break
            work, pictures = item
            for (_, key), picture in zip(work.items, pictures, strict=True):
                buffer[len(keys)] = picture
                keys.append(key)
                if len(keys) == self.batch_size:
                    yield keys, self.backbone.encode_images(buffer)
                    keys = []
        if keys:
            yield keys, self.backbone.encode_images(buffer[: len(keys)])
