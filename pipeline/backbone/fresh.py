"""Augmented views that are encoded from the images whenever training asks for them: the reference for cached views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from pipeline.backbone.decode import Work
from pipeline.backbone.encode import ImageEncoder
from pipeline.backbone.views import Views
from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor

    from pipeline.backbone.protocol import Backbone
    from pipeline.features import Features

AVERAGED = 10
"""Views per image that a cache of training images averages: `augment_epoch` of the code of Zhang et al., "Tip-Adapter",
ECCV 2022."""


class FreshViews:
    """A source of views for training that keeps nothing: epoch e makes and encodes view number e of every image.

    Every call decodes and encodes all that it is asked for, so a run pays for its images at each of its epochs. Runs
    that one chunk of the batched loop trains together ask once for an image that several of them see at an epoch; that
    is all the sharing there is. The views have the numbers, pixels and random numbers of cached ones: with as many
    cached views as epochs the features differ in rounding only, and only where other batches make the encoder round
    differently.

    Memory: the (n, D) rows that are asked for, and about two batches of pictures.
    """

    def __init__(
        self,
        features: Features,
        manifest: pd.DataFrame,
        *,
        root: Path,
        backbone: Backbone,
        batch_size: int,
        workers: int,
    ) -> None:
        """Look every training image up; none is read yet.

        Args:
            features: what `featurize` wrote with the same backbone; says which images are trained on, and how views
                are made.
            manifest: MANIFEST table.
            root: folder of its images.
            backbone: the frozen CLIP that made the features.
            batch_size: views per forward pass.
            workers: threads that decode; beside a GPU, processes.
        Raises:
            DataError: a training image is not in the manifest.
        """
        import torch

        meta = features.meta
        trained = features.index[features.index["view_row"] >= 0].sort_values("view_row")
        rows = manifest.set_index("path").reindex(trained["path"])
        if rows["sha256"].isna().any():
            lost = rows.index[rows["sha256"].isna()][0]
            raise DataError(f"{lost}: is trained on but is not in the manifest; run `dvc repro`")
        self._images = list(
            zip(rows.index, rows["sha256"], (rows["width"] * rows["height"]).astype("int64").tolist(), strict=True)
        )
        recipe = Views(backbone.preprocessing.size, meta["view_seed"], meta["flip"], meta["min_area"])
        self._encoder = ImageEncoder(backbone, root, recipe, batch_size, workers)
        self._threads = torch.get_num_threads()
        self._lock = Lock()
        self.width = backbone.width

    def __len__(self) -> int:
        return len(self._images)

    def at_epoch(self, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """View number `epoch` of these images, as a `ViewSource` of training gives it.

        Args:
            rows: (n,) in [0, T); epoch: from 0.
        Returns:
            (n, D) float32, raw, on the CPU.
        Raises:
            DataError: an image cannot be read, is not the one that was ingested, or its features are not finite.
        """
        import numpy as np
        import torch

        recipe = self._encoder.recipe
        works = [
            Work(path, sha256, pixels, [(epoch, recipe.key(sha256, epoch))])
            for path, sha256, pixels in (self._images[row] for row in rows.tolist())
        ]
        with self._lock:  # one encoding at a time, with all threads, whatever the thread that asks is allowed
            allowed = torch.get_num_threads()
            torch.set_num_threads(self._threads)
            try:
                parts = [batch for _, batch in self._encoder.batches(works)]
            finally:
                torch.set_num_threads(allowed)
        features = np.concatenate(parts)
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            raise DataError(
                f"{works[int(finite.argmin())].path}: its features are not finite; check the backbone's weights"
            )
        return torch.from_numpy(features)

    def to_average(self, rows: NDArray[np.int64]) -> Tensor:
        """The first `AVERAGED` views of these images: (n, 10, D) float32; errors as `at_epoch`."""
        import torch

        return torch.stack([self.at_epoch(rows, view) for view in range(AVERAGED)], dim=1)


def view_source(
    features: Features,
    manifest: pd.DataFrame,
    *,
    root: Path,
    backbone: Callable[[], Backbone],
    batch_size: int,
    workers: int,
) -> NDArray[np.float32] | FreshViews:
    """What training takes augmented views from: the features' own, or fresh ones where they hold none.

    Args:
        features, manifest, root, batch_size, workers: as for `FreshViews`.
        backbone: from `load.backbone_of`; asked for only if it is needed.
    Raises:
        DataError, CheckpointError: as `FreshViews` and `backbone`.
    """
    if features.views.shape[1]:
        return features.views
    return FreshViews(features, manifest, root=root, backbone=backbone(), batch_size=batch_size, workers=workers)
