"""Does leaving classes out choose the open-set score that is best on real unknown images?

    CROFT_REAL_DATA=FOLDER python -m benchmarks.choose_score [clip | pacs] [--methods zero-shot croft] [--folds 3]

Trains methods with fixed settings on features of real images (`benchmarks.real_features` has the protocols), once
with all known classes and once without each fold of them. Validation images choose the method and the score; test
images and open sets are looked at once, to show what that choice is worth.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.real_features import SEEDS, Trial, settings_of, train_plans, without_prompts
from benchmarks.real_inputs import EXPERIMENTS, Experiment
from pipeline.decision.seen import Eye
from pipeline.detection.metrics import auroc
from pipeline.detection.scores import spaces
from pipeline.evaluation.choice import choose
from pipeline.evaluation.left_out import left_out_numbers
from pipeline.params import load_params
from pipeline.params.choice import AUTO
from pipeline.splits import known_by_fit
from pipeline.tables import TEST_ID, TEST_SHIFTED, TRAIN, VALIDATION
from pipeline.training.assemble import collect
from pipeline.training.left_out import left_out_splits

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.detection.scores.spaces import Option

ADAPTERS = {"lr": 0.02}  # what source validation chose on CLIP features, see docs/real-data.md
PENALTY = {"lambda_2": 10.0}
FOLDS = 3


def measure(
    experiment: Experiment,
    methods: Sequence[str],
    *,
    folds: int = FOLDS,
    epochs: int | None = None,
    device: str = "cpu",
) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """By held-out domain: the ranking by validation, and the numbers on test images.

    Returns:
        As `choice.rank`; and a row per method and option with accuracy, shifted and an AUROC for each open set, means
        over seeds, indexed by method and option.
    """
    finetune = load_params().finetune
    seen = experiment.splits[experiment.splits["role"].isin([TRAIN, VALIDATION])]
    whole = sorted(set(seen["target"]))
    domains = {path: path.split("/")[0] for path in seen["path"]}
    # A held-out domain at a time, as if the others were all there are: nothing of it may choose.
    cut = {name: left_out_splits(seen[seen["target"] == name], domains, folds, len(SEEDS)) for name in whole}
    left_out = pd.concat(cut.values(), ignore_index=True)
    values = {name: settings_of(finetune, name) for name in methods}
    for chosen in values.values():
        if chosen["kind"] == "adapters":
            chosen |= ADAPTERS | (PENALTY if chosen["lambda_2"] else {})
        if epochs is not None and "epochs" in chosen:
            chosen["epochs"] = epochs
    plans = [(pd.concat([seen, left_out], ignore_index=True), name, chosen) for name, chosen in values.items()]
    trials = train_plans(plans, experiment.features, device)
    options = list(spaces.options(words=experiment.words is not None))
    fits = [trial for trial in trials if trial.fit.run.target in whole]
    results = {}
    for target in whole:
        folds_of = set(cut[target]["target"])
        parts = collect([trial.fit for trial in trials if trial.fit.run.target in folds_of])
        features = dataclasses.replace(experiment.features, words=experiment.words)
        numbers = left_out_numbers(parts, cut[target], features, options)
        members = [trial for trial in fits if trial.fit.run.target == target]
        table = pd.DataFrame({"method": [t.method for t in members], "v": [t.fit.validation_accuracy for t in members]})
        accuracies = table.groupby("method", sort=False)["v"].mean().to_dict()
        ranking = choose(accuracies, numbers, method=AUTO, score=AUTO, rule="harmonic-mean").ranking
        statistics: Fitted = {}
        tested = [row for trial in members for row in _test(trial, experiment, options, statistics)]
        results[target] = ranking, pd.DataFrame(tested).groupby(["method", "option"], sort=False).mean()
    return results


Fitted = dict[tuple[int, str], dict[str, "Tensor"]]
"""What scores of features learnt, by seed and score: the same for every method, and slow."""


def _test(
    trial: Trial, experiment: Experiment, options: Sequence[Option], fitted: Fitted
) -> list[dict[str, str | float]]:
    """Accuracies and the AUROC of every option on each open set, of one fit."""
    run, features, splits = trial.fit.run, experiment.features, experiment.splits
    split = splits[(splits["target"] == run.target) & (splits["seed"] == run.seed)]
    (classes,) = known_by_fit(split).values()
    eye = Eye(trial.fit.head, features.text[features.text_rows(classes)])

    def rows(role: str) -> pd.DataFrame:
        return split[split["role"] == role]

    def images(role: str) -> np.ndarray:
        return features.clean[features.clean_rows(rows(role)["path"])]

    training = eye.training(images(TRAIN), rows(TRAIN)["label"].to_numpy(), experiment.words)
    validation = eye.views(images(VALIDATION))
    shares = {}
    for role, name in ((TEST_ID, "accuracy"), (TEST_SHIFTED, "shifted")):
        labels = rows(role)["label"].to_numpy()
        right = eye.views(images(role)).head.logits.argmax(1).numpy() == labels if len(labels) else np.array([np.nan])
        shares[name] = float(right.mean())
    known = eye.views(images(experiment.known[run.target]))
    unknown = {name: eye.views(array) for name, array in experiment.open_sets.items()}
    measured = []
    for option in options:
        key = run.seed, option.name
        if option.space == spaces.FEATURES and key not in fitted:
            fitted[key] = spaces.fit(option, training, validation)
        statistics = fitted[key] if key in fitted else spaces.fit(option, training, validation)
        of_known = spaces.compute(option, known, statistics).numpy()
        values = {
            name: auroc(of_known, spaces.compute(option, views, statistics).numpy()) for name, views in unknown.items()
        }
        measured.append({"method": trial.method, "option": option.name, **shares, **values})
    return measured


def as_json(results: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> dict[str, Any]:
    """{held-out domain: {chosen: [method, option], pairs: [one per pair, the best by validation first]}}."""
    found = {}
    for target, (ranking, tested) in results.items():
        pairs = ranking.rename(columns={"accuracy": "validation accuracy", "auroc": "classes left out"})
        pairs = pairs.join(tested, on=["method", "option"]).round(5)
        records = [{k: v for k, v in row.items() if v == v} for row in pairs.to_dict("records")]
        found[target] = {"chosen": [ranking["method"][0], ranking["option"][0]], "pairs": records}
    return found


def markdown(results: dict[str, tuple[pd.DataFrame, pd.DataFrame]], shown: int = 5) -> str:
    """The first pairs of each ranking with what they are worth on test images; then all scores of the chosen method."""
    lines = []
    for target, (ranking, tested) in results.items():
        sets = [name for name in tested.columns if name not in ("accuracy", "shifted")]
        columns = ["accuracy", "shifted", *sets]
        plain = pd.DataFrame({"method": ["zero-shot"] * 2, "option": ["energy", "mcm"]})
        pairs = pd.concat([ranking[:shown], ranking.merge(plain)], ignore_index=True).drop_duplicates()
        lines += [f"Held out: {target}; chosen: {ranking['method'][0]}, {ranking['option'][0]}", ""]
        lines += [*_rows(pairs, tested, ["method", "option"], columns), ""]
        method = ranking["method"][0]
        of_method = ranking[ranking["method"] == method]
        lines += [f"Every score of {method}, the best by validation first:", ""]
        lines += [*_rows(of_method, tested, ["option"], sets), ""]
        of_score = ranking[ranking["option"] == ranking["option"][0]]
        lines += [f"Every method with {ranking['option'][0]}, the best by validation first:", ""]
        lines += [*_rows(of_score, tested, ["method"], columns), ""]
    return "\n".join(lines[:-1])


def _rows(pairs: pd.DataFrame, tested: pd.DataFrame, names: list[str], columns: list[str]) -> list[str]:
    headings = [*names, "validation accuracy", "classes left out", *(f"test: {column}" for column in columns)]
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    for row in pairs.to_dict("records"):
        values = [row["accuracy"], row["auroc"], *tested.loc[(row["method"], row["option"]), columns]]
        cells = [*(row[name] for name in names), *(f"{100 * value:.1f}" for value in values)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    from pipeline.device import resolve_device

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", choices=EXPERIMENTS, default="clip", help="clip by default")
    parser.add_argument("--methods", nargs="+", help="of params.yaml; all that learn no prompts by default")
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--epochs", type=int, help="instead of those of params.yaml")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="a file that gets every number")
    arguments = parser.parse_args()
    folder = os.environ.get("CROFT_REAL_DATA")
    if not folder:
        parser.error("set CROFT_REAL_DATA to the folder that holds the features")
    experiment = EXPERIMENTS[arguments.experiment](Path(folder), seeds=SEEDS)
    methods = arguments.methods or without_prompts(load_params().finetune)
    device = resolve_device(arguments.device)
    results = measure(experiment, methods, folds=arguments.folds, epochs=arguments.epochs, device=device)
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(results), indent=1) + "\n", encoding="utf-8")
    print(markdown(results))


if __name__ == "__main__":
    main()
