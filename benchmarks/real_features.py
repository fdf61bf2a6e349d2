"""All methods but CoOp on features of real images, with a domain held out and other images as open sets.

    CROFT_REAL_DATA=FOLDER python -m benchmarks.real_features [clip | pacs]

FOLDER holds `clip_vitb32.npz` (CLIP ViT-B/32 on Caltech-101 and ImageNet) or `pacs_features.npz` (PACS, weaker
features); benchmarks/real_inputs.py has the protocol of each. Training and metrics are the pipeline's own. Source
validation chooses the settings of each method and held-out domain from small grids, λ2 after the others; test images
and open sets are looked at once, at the end. The results are in docs/real-data.md. CoOp learns prompts through a text
tower, and these features come without one.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from benchmarks.real_inputs import EXPERIMENTS, LOGIT_SCALE, Experiment
from pipeline.detection.metrics import auroc, fpr95_id_positive, fpr95_ood_positive
from pipeline.features import Features
from pipeline.fits import Head
from pipeline.methods.catalogue import METHODS
from pipeline.methods.settings import method_options, options
from pipeline.params import load_params
from pipeline.params.finetune import Finetune
from pipeline.progress import Progress
from pipeline.tables import TEST_ID, TEST_SHIFTED, TRAIN, VALIDATION

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.detection.scores.contract import LogitScore
    from pipeline.training.runs import Trained

SEEDS = (1, 2, 3)
RATES: dict[str, list[float]] = {  # by kind; adapters have those of the experiment. The rest is as in params.yaml
    "linear-probe": [0.0002, 0.002, 0.02, 0.2],
    "clip-adapter": [0.0001, 0.001, 0.01],
    "tip-adapter-f": [0.001, 0.01, 0.1],
}
LAMBDA_1 = [1.0, 15.0]  # of the paper's grid, where there is a generator
METRICS = {"auroc": auroc, "fpr95_id_positive": fpr95_id_positive, "fpr95_ood_positive": fpr95_ood_positive}
SCORES = ("energy", "mcm")  # rows of the catalogue, of the fitted head
Values = dict[str, Any]


def without_prompts(finetune: Finetune) -> list[str]:
    """The methods that need nothing but features."""
    return [name for name in finetune.methods if settings_of(finetune, name)["kind"] != "coop"]


def settings_of(finetune: Finetune, method: str) -> Values:
    """All settings of a method of params.yaml, its kind included, as plain values."""
    return method_options(finetune, method).model_dump()


def is_trained(values: Values) -> bool:
    """Whether a method of these settings learns anything by gradient."""
    return METHODS[values["kind"]].trains


def candidates(values: Values, rates: Sequence[float]) -> list[Values]:
    """What to try for a method of these settings: changes of them, by key.

    Args:
        values: all settings of the method, its kind included.
        rates: for adapters.
    """
    if not is_trained(values):
        return [{}]
    grid: dict[str, Sequence[float]] = {"lr": RATES.get(values["kind"], rates)}
    if values.get("generator"):
        grid["lambda_1"] = LAMBDA_1
    return [dict(zip(grid, choice, strict=True)) for choice in itertools.product(*grid.values())]


@dataclass(frozen=True, eq=False)
class Trial:
    """One fit of a method with all its settings."""

    method: str
    values: Values
    fit: Trained


def measure(
    experiment: Experiment, methods: Sequence[str] = (), *, epochs: int | None = None, device: str = "cpu"
) -> pd.DataFrame:
    """One row per method, held-out domain and seed: validation and test accuracy, and detection of each open set.

    Args:
        methods: of params.yaml; all that learn no prompts by default.
        epochs: instead of those of params.yaml.
    """
    finetune = load_params().finetune
    plans: list[Plan] = []
    seen = experiment.splits[experiment.splits["role"].isin([TRAIN, VALIDATION])]
    for name in methods or without_prompts(finetune):
        values = settings_of(finetune, name)
        if epochs is not None and "epochs" in values:
            values = values | {"epochs": epochs}
        plans += [(seen, name, values | changes) for changes in candidates(values, experiment.rates)]
    trials = train_plans(plans, experiment.features, device)
    trials += train_plans(_with_other_penalties(trials, seen, experiment.penalties), experiment.features, device)
    chosen = choose(_validation(trials))
    rows = [
        row.to_dict() | _test(trials[number].fit.head, experiment, row["target"], row["seed"])
        for number, row in chosen.iterrows()
    ]
    return pd.DataFrame(rows)


Plan = tuple[pd.DataFrame, str, Values]
"""A split table of training and validation rows, a method, and all its settings."""


def train_plans(plans: Sequence[Plan], features: Features, device: str) -> list[Trial]:
    """The only place that plans runs and trains them."""
    from pipeline.training.assemble import plan_runs
    from pipeline.training.engine import fit
    from pipeline.training.runs import Inputs, count_epochs

    runs, values = [], []
    for seen, method, wanted in plans:
        planned = plan_runs(seen, features, {method: options(wanted)})
        runs += planned
        values += [wanted] * len(planned)
    inputs = Inputs(features.views, features.clean, features.text, LOGIT_SCALE)
    with Progress("real features", count_epochs(runs), "epochs") as bar:
        fits = fit(runs, inputs, device=device, on_epoch=lambda done, _: bar.advance(done - bar.done))
    return [Trial(fit.run.method, wanted, fit) for fit, wanted in zip(fits, values, strict=True)]


def _logits(images: np.ndarray, head: Head) -> Tensor:
    """(B, C) logits of raw image features (B, D)."""
    import torch

    from pipeline.methods.catalogue import head_logits

    arrays = {name: torch.from_numpy(np.array(array)) for name, array in head.arrays.items()}
    with torch.inference_mode():
        return head_logits(torch.from_numpy(images), head.kind, arrays, head.scalars)


def _with_other_penalties(trials: Sequence[Trial], seen: pd.DataFrame, penalties: Sequence[float]) -> list[Plan]:
    """The other λ2 at each held-out domain's best candidate, for the methods that have a penalty."""
    plans: list[Plan] = []
    for number, row in choose(_validation(trials)).drop_duplicates(["method", "target"]).iterrows():
        values = trials[number].values
        if is_trained(values) and values.get("lambda_2"):
            split = seen[seen["target"] == row["target"]]
            others = [value for value in penalties if value != values["lambda_2"]]
            plans += [(split, row["method"], values | {"lambda_2": value}) for value in others]
    return plans


def _test(head: Head, experiment: Experiment, target: str, seed: int) -> dict[str, float]:
    """Accuracies and detection metrics of a fit on the test images of its split."""
    from pipeline.detection.scores.catalogue import SCORES as CATALOGUE

    features, splits = experiment.features, experiment.splits
    fit = splits[(splits["target"] == target) & (splits["seed"] == seed)]
    logits, measured = {}, {}
    for role, name in ((TEST_ID, "accuracy_id"), (TEST_SHIFTED, "accuracy")):
        rows = fit[fit["role"] == role]
        measured[name] = np.nan
        if len(rows):
            logits[role] = _logits(features.clean[features.clean_rows(rows["path"])], head)
            measured[name] = float((logits[role].argmax(dim=1).numpy() == rows["label"].to_numpy()).mean())
    known = logits[experiment.known[target]]
    for name, images in experiment.open_sets.items():
        unknown = _logits(images, head)
        for score in SCORES:
            row = cast("LogitScore", CATALOGUE[score])
            pair = tuple(row.compute(values, LOGIT_SCALE).numpy() for values in (known, unknown))
            measured |= {f"{score} {name} {metric}": compute(*pair) for metric, compute in METRICS.items()}
    return measured


def _validation(trials: Sequence[Trial]) -> pd.DataFrame:
    """A row per trial: its method, what the grids set, and its validation accuracy."""
    fits = [trial.fit for trial in trials]
    return pd.DataFrame(
        {
            "method": [trial.method for trial in trials],
            "target": [fit.run.target for fit in fits],
            "seed": [fit.run.seed for fit in fits],
            "chosen": [label(trial.values) for trial in trials],
            "validation": [np.nan if fit.diverged else fit.validation_accuracy for fit in fits],
        }
    )


def label(values: Values) -> str:
    """What the grids may have set."""
    if not is_trained(values):
        return ""
    parts = [f"lr {values['lr']:g}"]
    parts += [f"λ1 {values['lambda_1']:g}"] if values.get("generator") else []
    parts += [f"λ2 {values['lambda_2']:g}"] if values.get("lambda_2") else []
    return ", ".join(parts)


def choose(table: pd.DataFrame) -> pd.DataFrame:
    """The candidate of best mean validation accuracy, the first of equals, for each method and held-out domain."""
    mean = table.groupby(["method", "target", "chosen"], sort=False)["validation"].mean().fillna(-1.0)
    best = set(mean.groupby(["method", "target"]).idxmax())
    keys = zip(table["method"], table["target"], table["chosen"], strict=True)
    return table[[key in best for key in keys]]


def markdown(table: pd.DataFrame, *, pooled: bool) -> str:
    """Accuracy by held-out domain; then all numbers, ± the spread of the seeds; then what was chosen.

    Args:
        pooled: numbers are means over the held-out domains; else each has its own tables.
    """
    order = list(dict.fromkeys(table["method"]))
    domains = sorted(table["target"].unique())
    parts = {"Mean of the held-out domains": table}
    if pooled:
        by_domain = table.pivot_table(index="method", columns="target", values="accuracy").loc[order]
        cells = {name: [f"{value:.3f}" for value in by_domain.loc[name, domains]] for name in order}
        lines = _table("Accuracy on the held-out domain, mean of the seeds:", domains, cells)
    else:
        lines, parts = [], {f"Held out: {name}": table[table["target"] == name] for name in domains}
    for heading, part in parts.items():
        for title, columns in _columns(part).items():
            by_seed = part.groupby(["method", "seed"])[list(columns)].mean().groupby("method")
            mean, spread = by_seed.mean(), by_seed.std(ddof=0)
            cells = {
                name: [f"{mean.loc[name, key]:.3f} ± {spread.loc[name, key]:.3f}" for key in columns] for name in order
            }
            lines += _table(f"{heading}; {title}, ± standard deviation over seeds:", list(columns.values()), cells)
    chosen = table.drop_duplicates(["method", "target"]).pivot(index="method", columns="target", values="chosen")
    cells = {name: list(chosen.loc[name, domains]) for name in order if any(chosen.loc[name])}
    lines += _table("Chosen by source validation:", domains, cells)
    return "\n".join(lines[:-1])


def _columns(part: pd.DataFrame) -> dict[str, dict[str, str]]:
    """The columns of each table with what they are called there; those without any number are left out."""
    headings = {"validation": "validation", "accuracy_id": "test", "accuracy": "held out"}
    tables = {"accuracy": {name: heading for name, heading in headings.items() if part[name].notna().any()}}
    for score in SCORES:
        names = [str(name) for name in part.columns if str(name).startswith(f"{score} ")]
        tables[f"detection by {score}"] = {name: name.removeprefix(f"{score} ") for name in names}
    return tables


def _table(title: str, columns: Sequence[str], cells: Mapping[str, Sequence[str]]) -> list[str]:
    rows = [f"| {name} | {' | '.join(values)} |" for name, values in cells.items()]
    return [title, "", f"| method | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}", *rows, ""]


def main() -> None:
    from pipeline.device import resolve_device

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", choices=EXPERIMENTS, default="clip", help="clip by default")
    parser.add_argument("--epochs", type=int, help="instead of those of params.yaml")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--csv", type=Path, help="also write every row here")
    arguments = parser.parse_args()
    folder = os.environ.get("CROFT_REAL_DATA")
    if not folder:
        parser.error("set CROFT_REAL_DATA to the folder that holds the features")
    experiment = EXPERIMENTS[arguments.experiment](Path(folder), seeds=SEEDS)
    table = measure(experiment, epochs=arguments.epochs, device=resolve_device(arguments.device))
    if arguments.csv:
        table.to_csv(arguments.csv, index=False)
    print(markdown(table, pooled=experiment.pooled))


if __name__ == "__main__":
    main()
