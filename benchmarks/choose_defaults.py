"""How the default hyper-parameters were chosen: a grid over all held-out domains and seeds, by source validation only.

    python -m benchmarks.choose_defaults            # after `make run`; about 15 minutes on 2 cores

Test images are never looked at: `pipeline.training.sweep` cuts their rows off before anything else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from pipeline.device import resolve_device
from pipeline.features import read_features
from pipeline.params import load_params
from pipeline.progress import Progress
from pipeline.tables import SPLITS, read_table
from pipeline.training.sweep import count_epochs, grid, sweep

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


def measure(base: dict[str, object], axes: Axes, root: Path, device: str) -> pd.DataFrame:
    """Source-validation accuracy of each setting: mean and standard error over held-out domains and seeds."""
    splits, points = read_table(root / "splits.parquet", SPLITS), grid(axes)
    with Progress("grid", count_epochs(points, base, splits), "epochs") as progress:
        found = sweep(
            points,
            base,
            splits,
            read_features(root / "features"),
            device=resolve_device(device),
            on_epoch=lambda done, _: progress.advance(done - progress.done),
        )
    table = (
        found.validation()
        .groupby("configuration")
        .agg(
            accuracy=("validation_accuracy", "mean"),
            error=("validation_accuracy", "sem"),
            epoch=("epoch", "mean"),
            diverged=("diverged", "sum"),
        )
    )
    return table.sort_values("accuracy", ascending=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    params = load_params().finetune
    for method, axes in (("adapters", ADAPTERS), ("croft", CROFT)):
        table = measure(params.settings(method), axes, arguments.artifacts, arguments.device)
        print(f"\n{method}: source-validation accuracy, mean and standard error over held-out domains and seeds")
        print(table.to_string(float_format=lambda v: f"{v:.4f}"), flush=True)


if __name__ == "__main__":
    main()
