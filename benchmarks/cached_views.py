"""(a) Training on cached views against encoding the training images anew at every epoch."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import DataError
from pipeline.features import read_features
from pipeline.tables import DEPLOY, MANIFEST, SPLITS, TRAIN, VALIDATION, read_table

if TYPE_CHECKING:
    from pipeline.params import Params
    from pipeline.training.runs import Run

Row = dict[str, Any]


def cached_views(params: Params, artifacts: Path, device: str) -> list[Row]:
    """One run is trained both ways for all its epochs; the whole protocol's cached way is run in full as well.

    The re-encoding way is that of `featurize.views: 0`: at every epoch, a fresh view of every image in the run's
    mini-batches. What it would cost for all trained runs, each alone, is the slice's cost in proportion to the views
    that they encode; runs that are trained together share some of it (`pipeline.backbone.fresh`).

    Args:
        params: settings of the finished run; artifacts: its outputs (manifest, splits, features).
        device: of encoding and training.
    Returns:
        Two rows: the slice, and the whole protocol.
    Raises:
        DataError: there are no outputs yet.
    """
    from pipeline.backbone.fresh import FreshViews
    from pipeline.backbone.load import load_backbone
    from pipeline.methods.settings import all_options
    from pipeline.training.assemble import plan_runs
    from pipeline.training.engine import fit
    from pipeline.training.runs import Inputs

    if not (artifacts / "features" / "meta.json").exists():
        raise DataError(f"{artifacts}/features is not there: run `make run` first")
    features = read_features(artifacts / "features")
    manifest = read_table(artifacts / "manifest.parquet", MANIFEST)
    splits = read_table(artifacts / "splits.parquet", SPLITS)
    splits = splits[splits["role"].isin([TRAIN, VALIDATION])]
    runs = plan_runs(splits, features, all_options(params.finetune))
    trained = [run for run in runs if run.kind.trains]
    run = next(run for run in trained if run.method == params.export.method and run.target != DEPLOY)
    backbone = load_backbone(
        params.backbone.model, Path(params.backbone.weights), device, precision=features.meta["precision"]
    )
    fresh = FreshViews(
        features, manifest, root=Path(params.data.root), backbone=backbone, batch_size=params.featurize.batch_size,
        workers=params.featurize.workers,
    )  # fmt: skip

    def train(runs: list[Run], views: Any) -> None:
        fit(runs, Inputs.of(features, views, backbone.prompt_tower), device=device)

    stored = features.views.shape[1]
    if not stored:
        raise DataError("featurize.views: 0 keeps no views to compare with; set it to 1 or more and run `make run`")
    fresh.at_epoch(run.train_rows[:64], 0)  # warm up

    def encode(rows: np.ndarray) -> np.ndarray:
        return np.stack([fresh.at_epoch(rows, view).numpy() for view in range(stored)], axis=1)  # (n, V, D)

    start = time.perf_counter()
    train([replace(run, train_rows=np.arange(len(run.train_rows)))], encode(run.train_rows))
    few = time.perf_counter() - start
    start = time.perf_counter()
    train([run], fresh)
    again = time.perf_counter() - start
    start = time.perf_counter()
    views = encode(np.arange(len(fresh)))
    if not np.allclose(views, features.views, atol=1e-4 * float(np.abs(features.views).max())):
        raise DataError("the views just encoded are not those of the features; run `dvc repro featurize`")
    encoding = time.perf_counter() - start
    train(runs, features.views)
    whole = time.perf_counter() - start
    images, all_images = _encoded(run), sum(_encoded(one) for one in trained)
    projected = again * all_images / images
    return [
        {
            "what": "one run, alone",
            "runs": 1,
            "views encoded, cached": len(run.train_rows) * stored,
            "views encoded, re-encoding": images,
            "seconds, cached": few,
            "seconds, re-encoding": again,
            "share of encoding, cached": float("nan"),
            "times faster": again / few,
        },
        {
            "what": "whole protocol",
            "runs": len(trained),
            "views encoded, cached": len(fresh) * stored,
            "views encoded, re-encoding": all_images,
            "seconds, cached": whole,
            "seconds, re-encoding": projected,
            "share of encoding, cached": encoding / whole,
            "times faster": projected / whole,
        },
    ]


def _encoded(run: Run) -> int:
    """Views that the run encodes when it makes them anew; Tip-Adapter's cache apart."""
    return run.batches * int(run.setting("batch_size")) * run.epochs
