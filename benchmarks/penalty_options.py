"""How the open choices of the energy-gradient penalty were made: an ablation by source validation only.

    python -m benchmarks.penalty_options            # after `make run`; 4 minutes on 2 cores

Each choice changes the size of the penalty, so one λ2 means another strength for each of them. The penalty of the
untrained adapters is measured first, and every choice is tried at the λ2 that give it the strengths of STRENGTHS: the
λ2 of the paper preset with the same λ2 · L_e at the start. Test images are never looked at.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.choose_defaults import measure
from pipeline.device import resolve_device
from pipeline.features import read_features
from pipeline.methods.settings import method_options
from pipeline.params import Params, load_params
from pipeline.tables import SPLITS, read_table
from pipeline.training.engine import fit
from pipeline.training.runs import Inputs
from pipeline.training.sweep import plan_sweep

Point = dict[str, Any]
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)  # the paper's λ2 in Setup II
CHOICES: dict[str, Point] = {
    "the preset": {},
    "penalty_scaled: true": {"penalty_scaled": True},
    "penalty_gradient: sample": {"penalty_gradient": "sample"},
    "penalty_scaled: true, penalty_gradient: sample": {"penalty_scaled": True, "penalty_gradient": "sample"},
    "penalty_batch: sum": {"penalty_batch": "sum"},
    "penalty_entries: mean": {"penalty_entries": "mean"},
    "penalty_weights: shared": {"penalty_weights": "shared"},
    "covariate_rows: adapter": {"covariate_rows": "adapter"},
}
PLAIN = "no penalty"


def sizes(params: Params, method: str, choices: dict[str, Point], root: Path, device: str) -> pd.Series[float]:
    """L_e of each choice before training, mean over held-out domains, seeds and the mini-batches of one epoch."""
    points = {name: {**point, "epochs": 1, "lambda_2": 1e-12} for name, point in choices.items()}
    splits, features = read_table(root / "splits.parquet", SPLITS), read_features(root / "features")
    runs = plan_sweep(points, method_options(params.finetune, method).model_dump(), splits, features)
    trained = fit(runs, Inputs.of(features), device=device)
    rows = [(result.run.method, result.history[0]["penalty"]) for result in trained]
    return pd.DataFrame(rows, columns=["choice", "size"]).groupby("choice")["size"].mean()


def ablate(params: Params, method: str, choices: dict[str, Point], root: Path, device: str) -> pd.DataFrame:
    """Source-validation accuracy and its standard error of each choice at each strength, and without any penalty.

    Returns:
        choice; strength; lambda_2 (four digits); accuracy, error, epoch, diverged: as `choose_defaults.measure` has it.
    """
    size = sizes(params, method, choices, root, device)
    points, rows = {PLAIN: {"lambda_2": 0.0}}, [(PLAIN, PLAIN, 0.0, 0.0)]
    for choice, point in choices.items():
        for strength in STRENGTHS:
            weight = float(f"{strength * size['the preset'] / size[choice]:.4g}")
            name = f"{choice}, strength {strength:g}"
            points[name] = {**point, "lambda_2": weight}
            rows.append((name, choice, strength, weight))
    found = measure(params, method, points, root, device)
    return pd.DataFrame(rows, columns=["name", "choice", "strength", "lambda_2"]).join(found, on="name")


def markdown(table: pd.DataFrame) -> str:
    """A line per choice: λ2 for a strength of 1, the accuracy at each strength, and the best with its error."""
    plain = table[table["choice"] == PLAIN].iloc[0]
    tried = table[table["choice"] != PLAIN]
    lines = [
        f"| choice | λ2 of strength 1 | {' | '.join(f'{s:g}' for s in STRENGTHS)} | best ± error |",
        f"|---|---|{'---|' * len(STRENGTHS)}---|",
        f"| {PLAIN} | | {'| ' * len(STRENGTHS)}| {plain['accuracy']:.4f} ± {plain['error']:.4f} |",
    ]
    for choice, own in tried.groupby("choice", sort=False):
        best = own.loc[own["accuracy"].idxmax()]
        cells = " | ".join(f"{value:.4f}" for value in own["accuracy"])
        lines.append(
            f"| {choice} | {own['lambda_2'].iloc[0]:.4g} | {cells} | {best['accuracy']:.4f} ± {best['error']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    params, device = load_params(), resolve_device(arguments.device)
    for method in ("croft", "adapters-edr"):
        generator = method_options(params.finetune, method).model_dump()["generator"]
        choices = {name: own for name, own in CHOICES.items() if generator or "covariate_rows" not in own}
        table = ablate(params, method, choices, arguments.artifacts, device)
        print(f"\n{method}: source-validation accuracy by the penalty's strength; error: standard error of the mean\n")
        print(markdown(table), flush=True)
        if table["diverged"].any():
            print("diverged:", table.loc[table["diverged"] > 0, "name"].tolist())


if __name__ == "__main__":
    main()
