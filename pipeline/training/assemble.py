"""Between tables and tensors: the runs that a split table asks for, and fits as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import DataError
from pipeline.fits import Fits
from pipeline.methods.settings import record
from pipeline.params.section import Section
from pipeline.splits import known_by_fit
from pipeline.tables import FITS, HISTORY, TRAIN, VALIDATION
from pipeline.training.runs import Run, Trained

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.features import Features


def plan_runs(splits: pd.DataFrame, features: Features, methods: Mapping[str, Section]) -> list[Run]:
    """One run per method, target and seed; test rows of the table are never looked at.

    Args:
        splits: SPLITS table.
        features: what the rows of a run point into.
        methods: settings by name.
    Raises:
        DataError: a split has no training images, or an image has no features.
    """
    seen = splits[splits["role"].isin([TRAIN, VALIDATION])]
    known = known_by_fit(seen)
    runs = []
    for target, seed in (
        splits[["target", "seed"]].drop_duplicates().sort_values(["target", "seed"]).itertuples(index=False)
    ):
        split = seen[(seen["target"] == target) & (seen["seed"] == seed)]
        train, validation = (split[split["role"] == role] for role in (TRAIN, VALIDATION))
        if train.empty:
            raise DataError(f"splits: target {target}, seed {seed} has no training images; check split.shots")
        text_rows = features.text_rows(known[str(target), int(seed)])
        all_classes = len(text_rows) == len(features.text)
        for method, options in methods.items():
            runs.append(
                Run(
                    method=method,
                    target=str(target),
                    seed=int(seed),
                    options=options,
                    train_rows=features.view_rows(train["path"]),
                    train_labels=train["label"].to_numpy(),
                    validation_rows=features.clean_rows(validation["path"]),
                    validation_labels=validation["label"].to_numpy(),
                    text_rows=None if all_classes else text_rows,
                )
            )
    return runs


def collect(fits: Sequence[Trained]) -> Fits:
    """Fits as the tables and heads that later stages read; those that share a head share its number.

    Args:
        fits: all of one width D.
    """
    import pandas as pd

    numbers: dict[int, int] = {}
    for fit in fits:
        numbers.setdefault(id(fit.head), len(numbers))
    rows = [
        {
            "fit": numbers[id(fit.head)],
            **_key(fit.run),
            "kind": fit.head.kind,
            "epoch": fit.epoch,
            "validation_accuracy": fit.validation_accuracy,
            "diverged": fit.diverged,
            "scalars": json.dumps(dict(fit.head.scalars), sort_keys=True),
            "settings": json.dumps(record(fit.run.options), sort_keys=True),
        }
        for fit in fits
    ]
    history = pd.DataFrame([{**_key(fit.run), **epoch} for fit in fits for epoch in fit.history])
    history = history.rename(columns={"lr": "learning_rate"}).reindex(columns=list(HISTORY.columns))
    return Fits(
        table=pd.DataFrame(rows, columns=list(FITS.columns)),
        heads={numbers[id(fit.head)]: fit.head for fit in fits},
        history=history.astype(dict(HISTORY.columns)),
    )


def _key(run: Run) -> dict[str, str | int]:
    return {"method": run.method, "target": run.target, "seed": run.seed}


def diverged_lines(fits: Sequence[Trained]) -> list[str]:
    """For each run that diverged: which it is, how far it came, and all that it was set to."""
    return [
        f"{fit.run.name}: diverged after {len(fit.history)} whole epochs and stopped; "
        + ", ".join(f"{name}={value}" for name, value in record(fit.run.options).items())
        for fit in fits
        if fit.diverged
    ]


def fit_metrics(fits: Sequence[Trained]) -> dict[str, dict[str, float]]:
    """Per method: mean source-validation accuracy over targets and seeds, and how many runs diverged."""
    metrics: dict[str, dict[str, float]] = {}
    for method in dict.fromkeys(fit.run.method for fit in fits):
        of_method = [fit for fit in fits if fit.run.method == method]
        metrics[method] = {
            "validation_accuracy": round(float(np.mean([fit.validation_accuracy for fit in of_method])), 6),
            "diverged": sum(fit.diverged for fit in of_method),
            "fits": len(of_method),
        }
    return metrics
