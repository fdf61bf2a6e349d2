"""How the default hyper-parameters were chosen: a grid over all held-out domains and seeds, by source validation only.

    python -m benchmarks.choose_defaults            # after `make run`; about 15 minutes on 2 cores
    python -m benchmarks.choose_defaults coop       # one method only

Test images are never looked at: `pipeline.training.sweep` cuts their rows off before anything else.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.backbone.load import backbone_of
from pipeline.device import resolve_device
from pipeline.features import read_features
from pipeline.methods.settings import method_options
from pipeline.params import Params, load_params
from pipeline.progress import Progress
from pipeline.tables import SPLITS, read_table
from pipeline.training.assemble import collect
from pipeline.training.engine import fit
from pipeline.training.runs import Inputs, count_epochs
from pipeline.training.sweep import grid, plan_sweep, validation

Axes = dict[str, list[Any]]
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
# Words are embeddings of norm 11 in the small CLIP, random vectors start at norm 0.2, and the text tower's first layer
# normalises: the gradient goes with the inverse of the norm, the rate that is needed with its square.
COOP_WORDS: Axes = {
    "init": ["words"],
    "weight_decay": [0.0],  # with such rates, the authors' would decay the words instead of training them
    "words": ["a photo of a", "a photo of the digit"],
    "lr": [0.2, 2.0, 20.0, 60.0, 200.0],
}
COOP_RANDOM: Axes = {
    "init": ["random"],
    "context": [4, 16],
    "lr": [0.02, 0.05, 0.2, 2.0],
}
GRIDS: list[tuple[str, Axes]] = [("adapters", ADAPTERS), ("croft", CROFT), ("coop", COOP_WORDS), ("coop", COOP_RANDOM)]


def measure(params: Params, method: str, points: Mapping[str, dict[str, Any]], root: Path, device: str) -> pd.DataFrame:
    """Source-validation accuracy of each point: mean and standard error over held-out domains and seeds, best first."""
    splits = read_table(root / "splits.parquet", SPLITS)
    base = method_options(params.finetune, method).model_dump()
    features, device = read_features(root / "features"), resolve_device(device)
    backbone = backbone_of(
        features.meta, model=params.backbone.model, weights=Path(params.backbone.weights), device=device
    )
    runs = plan_sweep(points, base, splits, features)
    inputs = Inputs.of(features, tower=lambda: backbone().prompt_tower())
    with Progress("grid", count_epochs(runs), "epochs") as progress:
        fits = fit(runs, inputs, device=device, on_epoch=lambda done, _: progress.advance(done - progress.done))
    table = (
        validation(points, collect(fits))
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
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="all by default")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    params = load_params()
    for method, axes in GRIDS:
        if arguments.methods and method not in arguments.methods:
            continue
        table = measure(params, method, grid(axes), arguments.artifacts, arguments.device)
        print(f"\n{method}: source-validation accuracy, mean and standard error over held-out domains and seeds")
        print(table.to_string(float_format=lambda v: f"{v:.4f}"), flush=True)


if __name__ == "__main__":
    main()
