"""All methods but CoOp on features of real images, leaving one domain out, with other data sets as open set.

    CROFT_REAL_DATA=FOLDER python -m benchmarks.real_features

FOLDER holds `pacs_features.npz`: features of PACS with labels and domains, text features of its classes, and features
of DTD and Caltech-101. The protocol, the training and the metrics are the pipeline's own. Each method's settings are
chosen for each held-out domain by source validation, from the grids below, λ2 after the others; the held-out domain and
the open sets are looked at once, at the end. What it found is in docs/real-data.md. CoOp learns prompts through a text
tower, and these features come without one.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.protocols import make_splits
from pipeline.detection.metrics import auroc, fpr95_id_positive, fpr95_ood_positive
from pipeline.errors import DataError
from pipeline.evaluation.predict import predict
from pipeline.features import Features
from pipeline.params import load_params
from pipeline.params.methods import Finetune
from pipeline.progress import Progress
from pipeline.tables import DEPLOY, TEST_SHIFTED, TRAIN, VALIDATION
from pipeline.training.assemble import plan_runs
from pipeline.training.methods import Trained, fit_methods
from pipeline.training.runs import Run
from pipeline.training.settings import BaselineSettings, Settings, settings

LOGIT_SCALE = 100.0  # CLIP's
SHOTS, VALIDATION_IMAGES, SEEDS = 16, 8, (1, 2, 3)
OPEN_SETS = ("dtd", "caltech101")
# Classes of Caltech-101 that show what a class of PACS shows.
OVERLAPS = {"dalmatian", "snoopy", "elephant", "electric_guitar", "mandolin", "Faces", "Faces_easy"}
RATES: dict[str, list[float]] = {  # by kind; the rest is as in params.yaml
    "adapters": [0.002, 0.02, 0.06, 0.2],
    "linear-probe": [0.0002, 0.002, 0.02, 0.2],
    "clip-adapter": [0.0001, 0.001, 0.01],
    "tip-adapter-f": [0.001, 0.01, 0.1],
}
LAMBDA_1 = [1.0, 15.0]  # of the paper's grid, where there is a generator
LAMBDA_2 = [1.0, 10.0, 100.0]  # of the paper's grid, where there is a penalty, at the rate and λ1 that were best


def load(folder: Path) -> tuple[Features, pd.DataFrame, dict[str, np.ndarray]]:
    """Features of PACS in the pipeline's form, a manifest of them, and (M, D) open-set features by name.

    Raises:
        DataError: the file is not there.
    """
    file = folder / "pacs_features.npz"
    if not file.is_file():
        raise DataError(f"{file}: is not there; set CROFT_REAL_DATA to the folder that holds it")
    with np.load(file, allow_pickle=False) as arrays:
        names = [str(name) for name in arrays["classnames"]]
        images, text = (arrays[key].astype(np.float32) for key in ("image_features", "text_features"))
        labels, domains = arrays["labels"], arrays["domains"]
        unknown = {key: arrays[f"{key}_features"].astype(np.float32) for key in OPEN_SETS}
        kept = ~np.isin(arrays["caltech101_classes"], list(OVERLAPS))
    unknown["caltech101"] = unknown["caltech101"][kept]
    order = sorted(range(len(names)), key=names.__getitem__)
    paths = [
        f"{domain}/{names[label]}/{row:05d}" for row, (domain, label) in enumerate(zip(domains, labels, strict=True))
    ]
    manifest = pd.DataFrame(
        {
            "path": paths,
            "domain": [str(domain) for domain in domains],
            "class": [names[label] for label in labels],
            "pool": "",
            "part": "",
            # In place of the image's own hash: it only decides the order in which a split takes images.
            "sha256": [hashlib.sha256(path.encode()).hexdigest() for path in paths],
        }
    )
    features = Features(
        index=pd.DataFrame({"path": paths, "view_row": range(len(paths))}),
        clean=images,
        views=images[:, None],  # no image, hence no augmented view: every epoch sees the one clean feature
        text=text[order],
        meta={"classes": [names[position] for position in order], "logit_scale": LOGIT_SCALE},
    )
    return features, manifest, unknown


def without_prompts(finetune: Finetune) -> list[str]:
    """The methods that need nothing but features."""
    return [name for name in finetune.methods if finetune.settings(name)["kind"] != "coop"]


def candidates(base: Mapping[str, Settings], overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Settings]]:
    """For each method, the settings to choose from."""
    found = {}
    for name, start in base.items():
        values = dict(overrides[name])
        if not start.train:
            found[name] = [start]
            continue
        kind = values.get("kind", "adapters")
        grid: dict[str, list[float]] = {"lr": RATES[kind]}
        if kind == "adapters" and start.generator:
            grid["lambda_1"] = LAMBDA_1
        points = [dict(zip(grid, choice, strict=True)) for choice in itertools.product(*grid.values())]
        found[name] = [settings({**values, **point}) for point in points]
    return found


def measure(
    folder: Path,
    methods: Sequence[str] = (),
    *,
    seeds: Sequence[int] = SEEDS,
    targets: Sequence[str] = (),
    epochs: int | None = None,
    device: str = "cpu",
) -> pd.DataFrame:
    """One row per method, held-out domain and seed: validation and test accuracy, and detection of each open set.

    Args:
        folder: see `load`; targets: domains to hold out, all by default.
        methods: of params.yaml; all that learn no prompts by default.
        epochs: instead of those of params.yaml.
    """
    finetune = load_params().finetune
    values = {name: finetune.settings(name) for name in methods or without_prompts(finetune)}
    if epochs is not None:
        values = {name: {**own, **({"epochs": epochs} if "epochs" in own else {})} for name, own in values.items()}
    choices = candidates({name: settings(own) for name, own in values.items()}, values)
    features, manifest, unknown = load(folder)
    splits = make_splits(
        manifest, known=features.meta["classes"], targets=targets, seeds=seeds, shots=SHOTS,
        shots_per="class_and_domain", validation=VALIDATION_IMAGES,
    )  # fmt: skip
    splits = splits[splits["target"] != DEPLOY]
    seen = splits[splits["role"].isin([TRAIN, VALIDATION])]
    named = {f"{name} {position}": one for name, many in choices.items() for position, one in enumerate(many)}
    fits = _train(plan_runs(seen, features, named), features, device)
    fits += _train(_with_other_penalties(fits, seen, features), features, device)
    table = _validation(fits)
    chosen = _choose(table)
    tests = splits[splits["role"] == TEST_SHIFTED]
    rows = []
    for number in chosen.index:
        own = table.loc[number]
        test = tests[(tests["target"] == own["target"]) & (tests["seed"] == own["seed"])]
        head = fits[number].head
        predicted, _, known = predict(features.clean, features.clean_rows(test["path"]), head)
        row = own.to_dict() | {"accuracy": float((predicted == test["label"].to_numpy()).mean())}
        for name, images in unknown.items():
            _, _, scores = predict(images, np.arange(len(images)), head)
            row |= {
                f"{name} auroc": auroc(known, scores),
                f"{name} fpr95_id_positive": fpr95_id_positive(known, scores),
                f"{name} fpr95_ood_positive": fpr95_ood_positive(known, scores),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _train(runs: Sequence[Run], features: Features, device: str) -> list[Trained]:
    with Progress("real features", sum(run.settings.epochs for run in runs if run.settings.train), "epochs") as bar:
        return fit_methods(
            runs, views=features.views, clean=features.clean, text=features.text, logit_scale=LOGIT_SCALE,
            device=device, on_epoch=lambda done, _: bar.advance(done - bar.done),
        )  # fmt: skip


def _with_other_penalties(fits: Sequence[Trained], seen: pd.DataFrame, features: Features) -> list[Run]:
    """Runs of LAMBDA_2 at each held-out domain's best candidate, for the methods that have a penalty."""
    best = _choose(_validation(fits)).drop_duplicates(["method", "target"])
    runs = []
    for number, row in best.iterrows():
        own = fits[number].run.settings
        if isinstance(own, BaselineSettings) or not own.train or own.lambda_2 == 0:
            continue
        others = [value for value in LAMBDA_2 if value != own.lambda_2]
        named = {f"{row['method']} {100 + place}": replace(own, lambda_2=v) for place, v in enumerate(others)}
        runs += plan_runs(seen[seen["target"] == row["target"]], features, named)
    return runs


def _validation(fits: Sequence[Trained]) -> pd.DataFrame:
    """A row per fit: which candidate of which method it is, what that sets, and its validation accuracy."""
    return pd.DataFrame(
        {
            "method": [fit.run.method.rsplit(" ", 1)[0] for fit in fits],
            "candidate": [int(fit.run.method.rsplit(" ", 1)[1]) for fit in fits],
            "target": [fit.run.target for fit in fits],
            "seed": [fit.run.seed for fit in fits],
            "chosen": [_chosen(fit.run.settings) for fit in fits],
            "validation": [np.nan if fit.diverged else fit.validation_accuracy for fit in fits],
        }
    )


def _chosen(own: Settings) -> str:
    """What the grids may have set."""
    if not own.train:
        return ""
    baseline = isinstance(own, BaselineSettings)
    parts = [f"lr {own.lr:g}"]
    parts += [f"λ1 {own.lambda_1:g}"] if not baseline and own.generator else []
    parts += [f"λ2 {own.lambda_2:g}"] if not baseline and own.lambda_2 else []
    return ", ".join(parts)


def _choose(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each method's and held-out domain's candidate of best mean validation accuracy over seeds."""
    mean = table.groupby(["method", "target", "candidate"])["validation"].mean().fillna(-1.0)
    best = mean.groupby(["method", "target"]).idxmax()
    wanted = set(best)
    keys = zip(table["method"], table["target"], table["candidate"], strict=True)
    return table[[key in wanted for key in keys]]


def markdown(table: pd.DataFrame) -> str:
    """Accuracy by held-out domain, then means over domains with the spread of the seeds."""
    order = list(dict.fromkeys(table["method"]))
    domains = sorted(table["target"].unique())
    numbers = [name for name in table.columns if name not in ("method", "target", "seed", "candidate", "chosen")]
    by_domain = table.pivot_table(index="method", columns="target", values="accuracy").loc[order, domains]
    by_seed = table.groupby(["method", "seed"])[numbers].mean().groupby("method")
    mean, spread = by_seed.mean().loc[order], by_seed.std(ddof=0).loc[order]
    lines = ["Accuracy on the held-out domain, mean of the seeds:", ""]
    lines += [f"| method | {' | '.join(domains)} |", f"|---|{'---|' * len(domains)}"]
    lines += [f"| {name} | " + " | ".join(f"{v:.3f}" for v in by_domain.loc[name]) + " |" for name in order]
    lines += ["", "Mean of the held-out domains, ± standard deviation over seeds:", ""]
    lines += [f"| method | {' | '.join(numbers)} |", f"|---|{'---|' * len(numbers)}"]
    for name in order:
        cells = [f"{mean.loc[name, key]:.3f} ± {spread.loc[name, key]:.3f}" for key in numbers]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    chosen = table.drop_duplicates(["method", "target"]).pivot(index="method", columns="target", values="chosen")
    lines += ["", "Chosen by source validation:", "", f"| method | {' | '.join(domains)} |"]
    lines += [f"|---|{'---|' * len(domains)}"]
    lines += [f"| {name} | {' | '.join(chosen.loc[name, domains])} |" for name in order if any(chosen.loc[name])]
    return "\n".join(lines)


def main() -> None:
    from pipeline.device import resolve_device

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, help="instead of those of params.yaml")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--csv", type=Path, help="also write every row here")
    arguments = parser.parse_args()
    folder = os.environ.get("CROFT_REAL_DATA")
    if not folder:
        parser.error("set CROFT_REAL_DATA to the folder that holds pacs_features.npz")
    table = measure(Path(folder), epochs=arguments.epochs, device=resolve_device(arguments.device))
    if arguments.csv:
        table.to_csv(arguments.csv, index=False)
    print(markdown(table))


if __name__ == "__main__":
    main()
