"""How the default hyper-parameters were chosen: a grid over all held-out domains and seeds, by source validation only.

    python -m benchmarks.choose_defaults            # after `make run`; about 15 minutes on 2 cores

Test images are never looked at: the split table is cut down to training and validation rows before anything else.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.device import resolve_device
from pipeline.features import read_features
from pipeline.params import load_params
from pipeline.progress import Progress
from pipeline.tables import DEPLOY, SPLITS, TRAIN, VALIDATION, read_table
from pipeline.training.assemble import plan_runs
from pipeline.training.loop import fit
from pipeline.training.settings import Settings, settings

Axes = dict[str, list[float] | list[str]]
ADAPTERS: Axes = {
    "lr": [0.002, 0.01, 0.05, 0.2],
    "ratio_image": [0.2, 0.5],
    "ratio_text": [0.2, 0.5],
}
CROFT: Axes = {
    "covariate_weight": ["lambda_1", "one"],
    "lambda_1": [0.1, 0.5, 2.0, 15.0],
    "lambda_2": [0.0, 1.0, 10.0, 100.0],
}


def grid(base: dict[str, object], axes: Axes) -> dict[str, Settings]:
    """One setting per point, named by what it changes."""
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    return {" ".join(f"{k}={v}" for k, v in point.items()): settings({**base, **point}) for point in points}


def measure(methods: dict[str, Settings], root: Path, device: str) -> pd.DataFrame:
    """Source-validation accuracy of each setting: mean and standard error over held-out domains and seeds."""
    features = read_features(root / "features")
    splits = read_table(root / "splits.parquet", SPLITS)
    splits = splits[splits["role"].isin([TRAIN, VALIDATION]) & (splits["target"] != DEPLOY)]
    runs = plan_runs(splits, features, methods)
    with Progress("grid", sum(r.settings.epochs for r in runs), "epochs") as progress:
        fits = fit(
            runs,
            views=features.views,
            clean=features.clean,
            text=features.text,
            logit_scale=features.meta["logit_scale"],
            device=resolve_device(device),
            on_epoch=lambda done, _: progress.advance(done - progress.done),
        )
    rows = pd.DataFrame(
        {
            "settings": f.run.method,
            "accuracy": f.validation_accuracy,
            "last": f.history[-1]["validation_accuracy"] if f.history else np.nan,
            "epoch": f.epoch,
            "diverged": f.diverged,
        }
        for f in fits
    )
    table = rows.groupby("settings").agg(
        accuracy=("accuracy", "mean"),
        error=("accuracy", "sem"),
        last=("last", "mean"),
        epoch=("epoch", "mean"),
        diverged=("diverged", "sum"),
    )
    return table.sort_values("accuracy", ascending=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    params = load_params().finetune
    for method, axes in (("adapters", ADAPTERS), ("croft", CROFT)):
        table = measure(grid(params.settings(method), axes), arguments.artifacts, arguments.device)
        print(f"\n{method}: source-validation accuracy, mean and standard error over held-out domains and seeds")
        print(table.to_string(float_format=lambda v: f"{v:.4f}"), flush=True)


if __name__ == "__main__":
    main()
