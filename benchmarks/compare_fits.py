"""Are all fits of two revisions the same? Trains every method in float64, in a clean checkout of each revision.

    python -m benchmarks.compare_fits OLD NEW --artifacts artifacts --epochs 30 --seeds 3

OLD and NEW are revisions of git; the artifacts are those of `make run`.

Compares what a run leaves: the selected epoch, its accuracy, every loss of every epoch, and the arrays of its head.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ALLOWED = 1e-9  # relative to an array's or a history's largest number
SINGLE = 1e-6  # of arrays that an older revision kept in float32
EPOCHS = 6  # enough that every loss, update and selection has run several times


def train(artifacts: Path, out: Path, epochs: int, seeds: int) -> None:
    """Train all methods of this checkout's params.yaml on the features of `make run`, and write what they leave."""
    from pipeline.backbone.load import load_backbone
    from pipeline.features import read_features
    from pipeline.params import load_params
    from pipeline.tables import SPLITS, read_table
    from pipeline.training.assemble import plan_runs

    params, features = load_params(), read_features(artifacts / "features")
    splits = read_table(artifacts / "splits.parquet", SPLITS)
    splits = splits[splits["seed"].isin(sorted(splits["seed"].unique())[:seeds])]
    backbone = load_backbone(params.backbone.model, Path(params.backbone.weights), "cpu")

    def tower() -> Any:
        if hasattr(backbone, "prompt_tower"):
            return backbone.prompt_tower()
        from pipeline.backbone.text_tower import TextTower  # type: ignore[import-not-found]

        return TextTower(backbone)

    try:
        from pipeline.methods.settings import method_options, options
        from pipeline.training.engine import fit
        from pipeline.training.runs import Inputs
    except ImportError:  # a revision from before the catalogue of methods
        from pipeline.training.methods import fit_methods  # type: ignore[import-not-found]
        from pipeline.training.settings import settings  # type: ignore[import-not-found]

        values = {name: params.finetune.settings(name) for name in params.finetune.methods}  # type: ignore[attr-defined]
        methods = {name: settings(_short(own, epochs)) for name, own in values.items()}
        trained = fit_methods(
            plan_runs(splits, features, methods), views=features.views, clean=features.clean, text=features.text,
            logit_scale=features.meta["logit_scale"], device="cpu", dtype="float64", names=features.meta["names"],
            tower=tower,
        )  # fmt: skip
    else:
        methods = {
            name: options(_short(method_options(params.finetune, name).model_dump(), epochs))
            for name in params.finetune.methods
        }
        runs = plan_runs(splits, features, methods)
        trained = fit(runs, Inputs.of(features, tower=tower), device="cpu", dtype="float64")
    arrays: dict[str, Any] = {}
    for result in trained:
        name = result.run.name
        arrays |= {f"{name}|{key}": array for key, array in result.head.arrays.items()}
        arrays[f"{name}|chosen"] = np.array([result.epoch, result.validation_accuracy])
        for key in ("loss", "cross_entropy", "validation_accuracy"):
            arrays[f"{name}|{key} by epoch"] = np.array([row[key] for row in result.history])
    np.savez(out, **arrays)


def _short(values: dict[str, Any], epochs: int) -> dict[str, Any]:
    return values | {key: epochs for key in ("epochs",) if key in values}


def differences(old: Path, new: Path) -> dict[str, float]:
    """Largest difference of each quantity, relative to its largest number.

    Raises:
        ValueError: a quantity is in one file only, or has another shape.
    """
    with np.load(old, allow_pickle=False) as first, np.load(new, allow_pickle=False) as second:
        if set(first.files) != set(second.files):
            raise ValueError(f"only in one revision: {sorted(set(first.files) ^ set(second.files))[:5]}")
        largest = {}
        for name in first.files:
            one, two = first[name], second[name]
            if one.shape != two.shape:
                raise ValueError(f"{name}: shape {one.shape} before, {two.shape} after")
            both = ~(np.isnan(one) & np.isnan(two))
            scale = max(float(np.abs(one[both]).max(initial=0)), 1e-30)
            single = one.dtype == np.float32 or two.dtype == np.float32
            largest[name + ("|float32" if single else "|float64")] = (
                float(np.abs(one - two)[both].max(initial=0)) / scale
            )
    return largest


def run_revision(revision: str, artifacts: Path, out: Path, epochs: int, seeds: int) -> None:
    """Train in a clean checkout of a revision, by its own code."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(tree), revision], check=True)
        try:
            command = [sys.executable, "-P", str(Path(__file__).resolve()), "--train", str(out)]
            environment = os.environ | {"PYTHONPATH": str(tree)}
            command += ["--artifacts", str(artifacts), "--epochs", str(epochs), "--seeds", str(seeds)]
            subprocess.run(command, cwd=tree, env=environment, check=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revisions", nargs="*", metavar="REVISION")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, default=1, help="how many of the splits' seeds, from the lowest")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    artifacts = arguments.artifacts.resolve()
    if arguments.train:
        train(artifacts, arguments.train, arguments.epochs, arguments.seeds)
        return
    if len(arguments.revisions) != 2:
        parser.error("expected two revisions")
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / f"{number}.npz" for number in range(2)]
        for revision, out in zip(arguments.revisions, outputs, strict=True):
            run_revision(revision, artifacts, out, arguments.epochs, arguments.seeds)
        values = differences(*outputs)
    worst = {
        part: max((v for n, v in values.items() if n.endswith(part)), default=0.0) for part in ("|float64", "|float32")
    }
    bad = {name: value for name, value in values.items() if value > (SINGLE if name.endswith("|float32") else ALLOWED)}
    print(json.dumps({"quantities": len(values), "largest relative difference": worst, "beyond": bad}, indent=1))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
