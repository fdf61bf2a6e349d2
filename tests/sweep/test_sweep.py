"""The grid, the choice, and that no test image plays any part in it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.detection.scores.spaces import option_of, options
from pipeline.errors import DataError
from pipeline.evaluation.choice import Choice, validation_accuracies
from pipeline.evaluation.choice import choose as choose_pair
from pipeline.evaluation.left_out import left_out_numbers
from pipeline.evaluation.sweep import held_out, left_out, means_by_configuration, sweep_metrics
from pipeline.features import Features
from pipeline.report.sweep import sweep_report
from pipeline.tables import DEPLOY, SPLITS, TEST_SHIFTED, TEST_UNKNOWN, TRAIN, VALIDATION
from pipeline.training.assemble import collect
from pipeline.training.engine import fit
from pipeline.training.left_out import in_batches, left_out_splits
from pipeline.training.runs import Inputs, Trained, count_epochs
from pipeline.training.sweep import SWEEP, check_converged, grid, plan_folds, plan_sweep, validation

WIDTH, CLASSES, DOMAINS = 12, 3, ("ink", "oil")
BASE: dict[str, Any] = {"generator": False, "lambda_1": 0.0, "lambda_2": 0.0, "epochs": 3, "batch_size": 8, "lr": 0.05}


@pytest.fixture(scope="module")
def world() -> tuple[Features, pd.DataFrame]:
    """2 domains x (3 known + 1 unknown class) x 12 images; half trains, a quarter validates."""
    source = np.random.default_rng(7)
    centres = source.normal(size=(CLASSES + 1, WIDTH))
    places = [(d, c, i) for d in DOMAINS for c in range(CLASSES + 1) for i in range(12)]
    paths = [f"{d}/{c}/{i}.png" for d, c, i in places]
    clean = np.stack([centres[c] + 1.5 * source.normal(size=WIDTH) for _, c, _ in places]).astype(np.float32)
    features = Features(
        index=pd.DataFrame({"path": paths, "view_row": range(len(paths))}),
        clean=clean,
        views=clean[:, None].copy(),
        text=(centres[:CLASSES] + source.normal(size=(CLASSES, WIDTH))).astype(np.float32),
        meta={"classes": ["a", "b", "c"], "names": ["a", "b", "c"], "logit_scale": 20.0},
    )
    rows = []
    for target in (*DOMAINS, DEPLOY):
        for (domain, label, image), path in zip(places, paths, strict=True):
            role = TRAIN if image < 8 else VALIDATION
            if domain == target:
                role = TEST_SHIFTED if label < CLASSES else TEST_UNKNOWN
            if label < CLASSES or domain == target:
                known = label < CLASSES
                rows.append((target, 1, path, role, "abcd"[label], label if known else -1, "" if known else "classes"))
    return features, pd.DataFrame(rows, columns=list(SPLITS.columns)).astype(dict(SPLITS.columns))


ENERGY = option_of("energy")
POINTS = grid({"lr": [0.01, 0.2], "ratio_image": [0.2, 0.5, 0.8]})


def train(features: Features, splits: pd.DataFrame, points: dict[str, dict[str, Any]] = POINTS) -> list[Trained]:
    return fit(plan_sweep(points, BASE, splits, features), Inputs.of(features), device="cpu")


def rows_of(trained: list[Trained], points: dict[str, dict[str, Any]] = POINTS) -> pd.DataFrame:
    return validation(points, collect(trained))


def test_grid_is_every_combination_in_order() -> None:
    assert list(POINTS.values())[:4] == [
        {"lr": 0.01, "ratio_image": 0.2},
        {"lr": 0.01, "ratio_image": 0.5},
        {"lr": 0.01, "ratio_image": 0.8},
        {"lr": 0.2, "ratio_image": 0.2},
    ]
    assert len(POINTS) == 6
    assert next(iter(POINTS)) == "1 lr=0.01 ratio_image=0.2"


def choice_of(trained: list[Trained], features: Features, splits: pd.DataFrame, folds: int = 0) -> Choice:
    """What the stage chooses."""
    domains = {path: path.split("/")[0] for path in splits["path"]}
    cut = left_out_splits(splits, domains, folds)
    parts = fit(list(in_batches(plan_folds(POINTS, BASE, cut, features))), Inputs.of(features), device="cpu")
    numbers = left_out_numbers(collect(parts), cut, features, list(options()))
    accuracies = validation_accuracies(collect(trained).table)
    return choose_pair(accuracies, numbers, method="auto", score="auto", rule="harmonic-mean")


def test_classes_left_out_choose_where_there_are_folds(world) -> None:
    features, splits = world
    trained = train(features, splits)
    plain, choice = choice_of(trained, features, splits), choice_of(trained, features, splits, folds=2)
    means = rows_of(trained).groupby("configuration", sort=False)["validation_accuracy"].mean()
    assert means[plain.method] == pytest.approx(means.max())
    best = choice.ranking.iloc[0]
    assert (choice.method, choice.score) == (best["method"], best["option"])
    assert choice.ranking["value"].max() == best["value"]
    table = left_out(rows_of(trained), choice)
    own = table[table["configuration"] == choice.method]
    assert (own["value"] == best["value"]).all()
    assert left_out(rows_of(trained), plain)["value"].isna().all()


def test_a_sweep_that_diverged_everywhere_is_refused(world) -> None:
    trained = train(*world)
    lost = [replace(result, diverged=result.run.target == "ink") for result in trained]
    with pytest.raises(DataError, match="all 6 configurations diverged"):
        check_converged(collect(lost))
    one = next(iter(POINTS))
    check_converged(collect([replace(result, diverged=result.run.method != one) for result in trained]))


def test_every_point_trains_for_every_held_out_domain_and_never_for_the_deploy_fit(world) -> None:
    features, splits = world
    trained = train(features, splits)
    table = rows_of(trained)
    assert len(table) == 6 * 2
    assert set(table["target"]) == set(DOMAINS)
    assert list(table["configuration"].unique()) == list(POINTS)
    assert all(result.run.setting("lr") == POINTS[result.run.method]["lr"] for result in trained)
    means = table.groupby("configuration", sort=False)["validation_accuracy"].mean()
    assert len(means) == 6
    assert count_epochs([result.run for result in trained]) == 6 * 2 * 3


def test_test_images_change_neither_what_is_trained_nor_what_is_chosen(world) -> None:
    features, splits = world
    before = train(features, splits)
    testing = splits["role"].isin([TEST_SHIFTED, TEST_UNKNOWN])
    # Every label of a test row is wrong, and half of the rows are gone.
    other = splits.assign(label=splits["label"].where(~testing, (splits["label"] + 2) % CLASSES))
    other = other[~testing | (other.index % 2 == 0)]
    after = train(features, other)
    chosen = [choice_of(fits, features, rows, folds=2) for fits, rows in ((before, splits), (after, other))]
    assert (chosen[0].method, chosen[0].reason) == (chosen[1].method, chosen[1].reason)
    assert rows_of(after).equals(rows_of(before))
    for one, two in zip(before, after, strict=True):
        assert np.array_equal(one.head.arrays["image_weight"], two.head.arrays["image_weight"])
    # The reported numbers do see them.
    measured = [
        held_out(rows_of(trained), features, collect(trained), rows, ENERGY)
        for trained, rows in ((before, splits), (after, other))
    ]
    assert not measured[0]["accuracy"].equals(measured[1]["accuracy"])


def test_a_split_without_validation_images_is_refused_before_training(world) -> None:
    features, splits = world
    with pytest.raises(DataError, match=r"no validation images.*split\.validation"):
        plan_sweep(POINTS, {**BASE, "select": "last"}, splits[splits["role"] != VALIDATION], features)
    with pytest.raises(DataError, match="no domain is held out"):
        plan_sweep(POINTS, BASE, splits[splits["target"] == DEPLOY], features)


def test_table_metrics_and_page(world) -> None:
    features, splits = world
    trained = train(features, splits)
    choice = choice_of(trained, features, splits, folds=2)
    chosen = choice.method
    table = held_out(left_out(rows_of(trained), choice), features, collect(trained), splits, option_of(choice.score))
    assert set(table.columns) == set(SWEEP.columns)
    metrics = sweep_metrics(table, choice)
    assert metrics["chosen"] == POINTS[chosen]
    assert metrics["score"] == choice.score
    assert metrics["runs"] == 12
    own = table[table["configuration"] == chosen]
    assert metrics["accuracy"] == pytest.approx(own["accuracy"].mean())
    assert metrics["regret"] == pytest.approx(means_by_configuration(table)["accuracy"].max() - own["accuracy"].mean())
    page = sweep_report(table, choice, title="<digits>", lineage={"splits": "0123"})
    assert page.count("<svg") == 8
    assert all(name in page for name in ("AUROC ↑", "FPR95, ID positive ↓", "FPR95, OOD positive ↓"))
    assert '<a href="../evaluation/report.html">' in page
    assert "&lt;digits&gt;" in page
    assert page == sweep_report(table, choice, title="<digits>", lineage={"splits": "0123"})


def test_accuracy_and_auroc_are_those_of_the_held_out_domain(world) -> None:
    features, splits = world
    name = next(iter(POINTS))
    points = {name: POINTS[name]}
    trained = train(features, splits, points)
    table = held_out(rows_of(trained, points), features, collect(trained), splits, ENERGY)
    from sklearn.metrics import roc_auc_score

    for result in trained:
        rows = splits[(splits["target"] == result.run.target) & splits["role"].isin([TEST_SHIFTED, TEST_UNKNOWN])]
        images = features.clean[features.clean_rows(rows["path"])].astype(np.float64)
        ratio, weight = result.run.setting("ratio_image"), result.head.arrays["image_weight"]
        adapted = ratio * images @ weight.T + (1 - ratio) * images
        values = 20 * (adapted / np.linalg.norm(adapted, axis=1, keepdims=True)) @ result.head.arrays["prototypes"].T
        known = (rows["label"] >= 0).to_numpy()
        row = table[table["target"] == result.run.target].iloc[0]
        assert row["accuracy"] == pytest.approx((values.argmax(1) == rows["label"])[known].mean())
        energies = -np.log(np.exp(values).sum(1))
        assert row["auroc"] == pytest.approx(roc_auc_score(~known, energies), abs=1e-3)
        # Scores are few: the threshold that accepts 95 % of the known (rejects 95 % of the unknown) is one of them.
        own, other = np.sort(energies[known]), np.sort(energies[~known])[::-1]
        accepts, rejects = own[math.ceil(0.95 * len(own)) - 1], other[math.ceil(0.95 * len(other)) - 1]
        assert row["fpr95_id_positive"] == pytest.approx((other <= accepts).mean())
        assert row["fpr95_ood_positive"] == pytest.approx((own >= rejects).mean())


def test_diverged_runs_have_no_held_out_numbers(world) -> None:
    features, splits = world
    trained = train(features, splits)
    lost = next(iter(POINTS))
    trained = [replace(result, diverged=result.run.method == lost) for result in trained]
    choice = choice_of(trained, features, splits)
    table = held_out(left_out(rows_of(trained), choice), features, collect(trained), splits, ENERGY)
    assert table.loc[table["configuration"] == lost, "accuracy"].isna().all()
    assert math.isnan(means_by_configuration(table).loc[lost, "validation_accuracy"])
    assert sweep_metrics(table, choice)["diverged"] == 2
    assert json.loads(table["point"].iloc[0]) == next(iter(POINTS.values()))
