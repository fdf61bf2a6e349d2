"""The grid, the choice, and that no test image plays any part in it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.sweep import held_out, means_by_configuration, sweep_metrics
from pipeline.features import Features
from pipeline.report.sweep import sweep_report
from pipeline.tables import DEPLOY, SPLITS, TEST_SHIFTED, TEST_UNKNOWN, TRAIN, VALIDATION
from pipeline.training.assemble import collect
from pipeline.training.engine import fit
from pipeline.training.runs import Inputs, Trained, count_epochs
from pipeline.training.sweep import SWEEP, choose, grid, plan_sweep, validation

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


def table_of(accuracies: dict[str, list[float]], diverged: tuple[str, ...] = ()) -> pd.DataFrame:
    return pd.DataFrame(
        {"configuration": name, "diverged": name in diverged and not i, "validation_accuracy": value}
        for name, values in accuracies.items()
        for i, value in enumerate(values)
    )


def test_the_best_mean_is_chosen_and_the_first_of_equals() -> None:
    assert choose(table_of({"b": [0.5, 0.7], "a": [0.9, 0.4], "c": [0.6, 0.7]})) == "a"  # 0.6, 0.65, 0.65
    # 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in the last bit; they are equals all the same.
    assert choose(table_of({"x": [0.3, 0.2, 0.1], "y": [0.1, 0.2, 0.3]})) == "x"
    assert choose(table_of({"y": [0.1, 0.2, 0.3], "x": [0.3, 0.2, 0.1]})) == "y"


def test_a_configuration_that_diverged_once_is_not_chosen() -> None:
    assert choose(table_of({"a": [0.9, 0.9], "b": [0.2, 0.3]}, diverged=("a",))) == "b"
    with pytest.raises(DataError, match="all 1 configurations diverged"):
        choose(table_of({"a": [0.9]}, diverged=("a",)))


def test_every_point_trains_for_every_held_out_domain_and_never_for_the_deploy_fit(world) -> None:
    features, splits = world
    trained = train(features, splits)
    table = rows_of(trained)
    assert len(table) == 6 * 2
    assert set(table["target"]) == set(DOMAINS)
    assert list(table["configuration"].unique()) == list(POINTS)
    assert all(result.run.setting("lr") == POINTS[result.run.method]["lr"] for result in trained)
    means = table.groupby("configuration", sort=False)["validation_accuracy"].mean()
    assert means[choose(table)] == pytest.approx(means.max())
    assert count_epochs([result.run for result in trained]) == 6 * 2 * 3


def test_test_images_change_neither_what_is_trained_nor_what_is_chosen(world) -> None:
    features, splits = world
    before = train(features, splits)
    testing = splits["role"].isin([TEST_SHIFTED, TEST_UNKNOWN])
    # Every label of a test row is wrong, and half of the rows are gone.
    other = splits.assign(label=splits["label"].where(~testing, (splits["label"] + 2) % CLASSES))
    other = other[~testing | (other.index % 2 == 0)]
    after = train(features, other)
    assert choose(rows_of(after)) == choose(rows_of(before))
    assert rows_of(after).equals(rows_of(before))
    for one, two in zip(before, after, strict=True):
        assert np.array_equal(one.head.arrays["image_weight"], two.head.arrays["image_weight"])
    # The reported numbers do see them.
    measured = [
        held_out(rows_of(trained), features, collect(trained), rows)
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
    chosen = choose(rows_of(trained))
    table = held_out(rows_of(trained), features, collect(trained), splits)
    assert set(table.columns) == set(SWEEP.columns)
    metrics = sweep_metrics(table, chosen)
    assert metrics["chosen"] == POINTS[chosen]
    assert metrics["runs"] == 12
    own = table[table["configuration"] == chosen]
    assert metrics["accuracy"] == pytest.approx(own["accuracy"].mean())
    assert metrics["regret"] == pytest.approx(means_by_configuration(table)["accuracy"].max() - own["accuracy"].mean())
    page = sweep_report(table, chosen, title="<digits>", lineage={"splits": "0123"})
    assert page.count("<svg") == 5
    assert all(name in page for name in ("AUROC ↑", "FPR95, ID positive ↓", "FPR95, OOD positive ↓"))
    assert '<a href="../evaluation/report.html">' in page
    assert "&lt;digits&gt;" in page
    assert page == sweep_report(table, chosen, title="<digits>", lineage={"splits": "0123"})


def test_accuracy_and_auroc_are_those_of_the_held_out_domain(world) -> None:
    features, splits = world
    name = next(iter(POINTS))
    points = {name: POINTS[name]}
    trained = train(features, splits, points)
    table = held_out(rows_of(trained, points), features, collect(trained), splits)
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
    chosen = choose(rows_of(trained))
    lost = next(name for name in POINTS if name != chosen)
    trained = [replace(result, diverged=result.run.method == lost) for result in trained]
    table = held_out(rows_of(trained), features, collect(trained), splits)
    assert table.loc[table["configuration"] == lost, "accuracy"].isna().all()
    assert math.isnan(means_by_configuration(table).loc[lost, "validation_accuracy"])
    assert sweep_metrics(table, chosen)["diverged"] == 2
    assert json.loads(table["point"].iloc[0]) == next(iter(POINTS.values()))
