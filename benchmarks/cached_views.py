"""(a) Training on cached views against encoding the training images anew at every epoch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import DataError
from pipeline.features import read_features
from pipeline.tables import DEPLOY, MANIFEST, SPLITS, TRAIN, VALIDATION, read_table

if TYPE_CHECKING:
    from pipeline.backbone.load import Backbone
    from pipeline.backbone.views import Views
    from pipeline.params import Params

Row = dict[str, Any]


def cached_views(params: Params, artifacts: Path, device: str) -> list[Row]:
    """One run is trained both ways for all its epochs; the whole protocol's cached way is run in full as well.

    The re-encoding way makes, at every epoch, a fresh view of every training image of the run. What it would cost for
    all trained runs is the slice's cost, in proportion to the views that they encode.

    Args:
        params: settings of the finished run; artifacts: its outputs (manifest, splits, features).
        device: of encoding and training.
    Returns:
        Two rows: the slice, and the whole protocol.
    Raises:
        DataError: there are no outputs yet.
    """
    from pipeline.backbone.load import load_backbone
    from pipeline.backbone.views import Views
    from pipeline.training.assemble import plan_runs
    from pipeline.training.methods import fit_methods
    from pipeline.training.settings import settings

    if not (artifacts / "features" / "meta.json").exists():
        raise DataError(f"{artifacts}/features is not there: run `make run` first")
    features = read_features(artifacts / "features")
    manifest = read_table(artifacts / "manifest.parquet", MANIFEST)
    splits = read_table(artifacts / "splits.parquet", SPLITS)
    splits = splits[splits["role"].isin([TRAIN, VALIDATION])]
    methods = {name: settings(params.finetune.settings(name)) for name in params.finetune.methods}
    runs = plan_runs(splits, features, methods)
    trained = [run for run in runs if run.settings.train]
    run = next(run for run in trained if run.method == params.export.method and run.target != DEPLOY)
    backbone = load_backbone(params.backbone.model, Path(params.backbone.weights), device)
    meta = features.meta
    recipe = Views(backbone.image_size, meta["view_seed"], meta["flip"], meta["min_area"])
    hashes = dict(zip(manifest["path"], manifest["sha256"], strict=True))
    by_row = dict(zip(features.index["view_row"], features.index["path"], strict=True))
    encoder = _Encoder(
        Path(params.data.root), backbone, recipe, hashes, params.featurize.workers, params.featurize.batch_size
    )
    common: dict[str, Any] = {
        "clean": features.clean, "text": features.text, "logit_scale": meta["logit_scale"], "device": device,
    }  # fmt: skip
    mine = [by_row[row] for row in run.train_rows]
    stored = features.views.shape[1]
    encoder.encode(mine[:64], 0)  # warm up

    def slice_run(views: int) -> float:
        start = time.perf_counter()
        made = np.stack([encoder.encode(mine, view) for view in range(views)], axis=1)  # (n, V, D)
        local = np.arange(len(mine))
        fit_methods([replace(run, train_rows=local)], views=made, **common)
        return time.perf_counter() - start

    few, again = slice_run(stored), slice_run(run.settings.epochs)
    start = time.perf_counter()
    every = [by_row[row] for row in range(len(features.views))]
    views = np.stack([encoder.encode(every, view) for view in range(stored)], axis=1)
    if not np.allclose(views, features.views, atol=1e-4 * float(np.abs(features.views).max())):
        raise DataError("the views just encoded are not those of the features; run `dvc repro featurize`")
    encoding = time.perf_counter() - start
    fit_methods(runs, views=features.views, **common)
    whole = time.perf_counter() - start
    images = len(mine) * run.settings.epochs
    all_images = sum(len(one.train_rows) * one.settings.epochs for one in trained)
    projected = again * all_images / images
    return [
        {
            "what": "one run, alone",
            "runs": 1,
            "views encoded, cached": len(mine) * stored,
            "views encoded, re-encoding": images,
            "seconds, cached": few,
            "seconds, re-encoding": again,
            "share of encoding, cached": float("nan"),
            "times faster": again / few,
        },
        {
            "what": "whole protocol",
            "runs": len(trained),
            "views encoded, cached": len(every) * stored,
            "views encoded, re-encoding": all_images,
            "seconds, cached": whole,
            "seconds, re-encoding": projected,
            "share of encoding, cached": encoding / whole,
            "times faster": projected / whole,
        },
    ]


class _Encoder:
    """Decodes with threads and encodes, as the pipeline does, without its store."""

    def __init__(
        self, root: Path, backbone: Backbone, recipe: Views, hashes: dict[str, str], workers: int, batch_size: int
    ) -> None:
        self.root, self.backbone, self.recipe = root, backbone, recipe
        self.hashes, self.workers, self.batch_size = hashes, workers, batch_size

    def encode(self, paths: Sequence[str], view: int) -> np.ndarray:
        """(n, D) float32 features of one view of each image, read from its file."""
        with ThreadPoolExecutor(self.workers) as pool:
            pictures = list(pool.map(lambda path: self._picture(path, view), paths))
        parts = [
            self.backbone.encode_images(np.stack(pictures[start : start + self.batch_size]))
            for start in range(0, len(pictures), self.batch_size)
        ]
        return np.concatenate(parts)

    def _picture(self, path: str, view: int) -> np.ndarray:
        from pipeline.images import open_rgb

        image = open_rgb((self.root / path).read_bytes(), max_pixels=50_000_000, name=path)
        return self.recipe.pixels(image, self.hashes[path], view)
