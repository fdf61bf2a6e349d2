"""A mini ImageNet and one domain alone, from the manifest through splits and training to metrics and report."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from train import train

from pipeline.data.leakage import check_splits
from pipeline.data.protocols import make_splits
from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.features import Features
from pipeline.fits import Fits
from pipeline.methods.settings import options
from pipeline.params import Data, Evaluate, Split
from pipeline.params.choice import Export
from pipeline.params.section import Section
from pipeline.registry.gate import absolute, facts
from pipeline.report.gallery import build_gallery
from pipeline.report.page import render_report
from pipeline.splits import known_by_fit
from pipeline.tables import DEPLOY, IN_DISTRIBUTION
from pipeline.training.assemble import collect, plan_runs
from pipeline.training.runs import count_epochs

TUNED = Export(method="tuned", score="energy")
CLASSES = ("ant", "bee", "cow", "dog", "elk", "fox")
WIDTH, EPOCHS = 16, 3
PLAIN = {"generator": False, "lambda_1": 0.0, "lambda_2": 0.0, "epochs": EPOCHS, "batch_size": 4, "lr": 0.05}
METHODS: dict[str, Section] = {
    "zero-shot": options({"kind": "zero-shot"}),
    "tuned": options(PLAIN),
    "linear-probe": options({"kind": "linear-probe", "epochs": EPOCHS, "batch_size": 4, "lr": 0.05}),
}
SPLIT: dict[str, Any] = {"seeds": [1, 2], "shots": 4, "validation": 2}


def world(root: Path, groups: Sequence[tuple[str, str, int]]) -> tuple[pd.DataFrame, Features]:
    """A manifest of tiny images and their features: around a centre a class, moved by domain."""
    source = np.random.default_rng(11)
    centres = {name: source.normal(size=WIDTH) for name in (*CLASSES, "banded")}
    moves = {folder: 0.4 * source.normal(size=WIDTH) for folder, _, _ in groups}
    rows, clean = [], []
    for folder, name, count in groups:
        for number in range(count):
            path = f"{folder}/{name}/{number}.png"
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (len(rows) % 256, 0, 0)).save(root / path)
            pool = folder.removeprefix("open_sets/") if "/" in folder else ""
            content = hashlib.sha256(path.encode()).hexdigest()
            rows.append((path, "" if pool else folder, name, pool, content, ""))
            clean.append(centres[name] + moves[folder] + 0.5 * source.normal(size=WIDTH))
    manifest = pd.DataFrame(rows, columns=["path", "domain", "class", "pool", "sha256", "part"])
    manifest["group"] = ""
    manifest["phash"] = manifest["sha256"].str[:16]
    images = np.array(clean, np.float32)
    text = np.array([centres[name] + 0.3 * source.normal(size=WIDTH) for name in CLASSES], np.float32)
    features = Features(
        index=pd.DataFrame({"path": manifest["path"], "view_row": range(len(manifest))}),
        clean=images,
        views=images[:, None].copy(),
        text=text,
        meta={"classes": list(CLASSES), "logit_scale": 20.0, "weights_sha256": "0" * 64},
    )
    return manifest, features


def whole_way(
    root: Path, groups: Sequence[tuple[str, str, int]], **split: Any
) -> tuple[pd.DataFrame, Features, Fits, Evaluation, int, str]:
    manifest, features = world(root, groups)
    splits = make_splits(manifest, list(CLASSES), Split.model_validate(SPLIT | split))
    check_splits(splits, manifest, sources=split.get("sources", ()))
    runs = plan_runs(splits, features, METHODS)
    steps: list[tuple[int, int]] = []
    trained = train(
        runs, views=features.views, clean=features.clean, text=features.text, logit_scale=20.0,
        on_epoch=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert steps[-1] == (count_epochs(runs),) * 2
    fits = collect(trained)
    found = evaluate(features, fits, splits, manifest, Evaluate(bootstrap=100, bins=10, hessian_probes=2), export=TUNED)
    gallery = build_gallery(
        manifest, found.scores, splits, Data(root=str(root), max_pixels=100), method="tuned", limits=found.limits
    )
    report = render_report(found, gallery, title="a data set", lineage={})
    return splits, features, fits, found, steps[-1][1], report


MINI = [
    *(("base", name, 12) for name in CLASSES),
    *(("sketch", name, 5) for name in CLASSES),
    *(("hard", name, 5) for name in CLASSES[::2]),  # as ImageNet-A: not all classes
    ("open_sets/textures", "banded", 6),
]


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Features, Fits, Evaluation, int, str]:
    root = tmp_path_factory.mktemp("mini")
    return whole_way(root, MINI, sources=["base"], unknown_share=0.5)


def test_targets_that_share_their_sources_are_trained_once(mini: tuple[Any, ...]) -> None:
    splits, _, fits, _, epochs, _ = mini
    # Two methods that train; per seed one fit for both targets, and the deployed one: 2 x (2 + 1) x 3 epochs.
    assert epochs == 2 * 3 * EPOCHS
    assert len(fits.table) == 3 * (2 * 2 + 1)
    assert len(fits.heads) == 3 * 3
    numbers = fits.table.pivot_table(index=["method", "seed"], columns="target", values="fit")
    assert (numbers["hard"] == numbers["sketch"]).all()
    known = known_by_fit(splits)
    assert known["hard", 1] != known["hard", 2]
    assert known["hard", 1] == known["sketch", 1]


def test_a_fit_knows_its_own_classes_alone(mini: tuple[Any, ...]) -> None:
    splits, features, fits, *_ = mini
    names = known_by_fit(splits)["sketch", 2]
    rows = [CLASSES.index(name) for name in names]
    alone = splits[(splits["target"] == "sketch") & (splits["seed"] == 2)]
    own = Features(
        features.index, features.clean, features.views, features.text[rows], features.meta | {"classes": names}
    )
    expected = collect(
        train(plan_runs(alone, own, METHODS), views=own.views, clean=own.clean, text=own.text, logit_scale=20.0)
    )
    for method in METHODS:
        pick = [t[(t["method"] == method) & (t["target"] == "sketch") & (t["seed"] == 2)]["fit"].item()
                for t in (fits.table, expected.table)]  # fmt: skip
        first, second = (table.heads[number] for table, number in zip((fits, expected), pick, strict=True))
        assert first.scalars == second.scalars
        assert set(first.arrays) == set(second.arrays)
        for name in first.arrays:
            np.testing.assert_allclose(first.arrays[name], second.arrays[name], atol=1e-6)


def test_zero_shot_numbers_by_hand(mini: tuple[Any, ...]) -> None:
    splits, features, _, found, *_ = mini
    unit = features.clean / np.linalg.norm(features.clean, axis=1, keepdims=True)
    words = features.text / np.linalg.norm(features.text, axis=1, keepdims=True)
    paths = features.index["path"]
    domain, name = (paths.str.split("/").str[k] for k in (0, 1))
    accuracies, areas, areas_id, pools = [], [], [], []
    for seed in (1, 2):
        names = known_by_fit(splits)["sketch", seed]
        logits = 20.0 * unit @ words[[CLASSES.index(one) for one in names]].T
        score = -np.log(np.exp(logits).sum(1))
        right = np.array(names)[logits.argmax(1)] == name.to_numpy()
        known = name.isin(names).to_numpy()
        sketch, base = (domain == "sketch").to_numpy(), (domain == "base").to_numpy()
        fit = splits[(splits["target"] == "sketch") & (splits["seed"] == seed)]
        beside = paths.isin(fit.loc[fit["role"] == "test_id", "path"]).to_numpy()

        def area(one: np.ndarray, other: np.ndarray) -> float:
            return float((one[:, None] < other[None]).mean())

        accuracies.append(right[sketch & known].mean())
        areas.append(area(score[sketch & known], score[sketch & ~known]))
        areas_id.append(area(score[beside], score[base & ~known]))
        pools.append(area(score[sketch & known], score[(domain == "open_sets").to_numpy()]))
    row = found.metrics["zero-shot"]["sketch"]
    assert row["accuracy"] == pytest.approx(np.mean(accuracies))
    assert row["open_sets"]["classes"]["auroc"] == pytest.approx(np.mean(areas))
    assert row["open_sets"]["textures"]["auroc"] == pytest.approx(np.mean(pools))
    assert row["auroc"] == pytest.approx((np.mean(areas) + np.mean(pools)) / 2)
    assert row["auroc_id"] == pytest.approx(np.mean(areas_id))
    assert found.metrics["zero-shot"]["hard"]["auroc_id"] == pytest.approx(np.mean(areas_id))  # the same fit and images


def test_metrics_and_report_hold_for_every_method(mini: tuple[Any, ...]) -> None:
    found, report = mini[3], mini[5]
    assert set(found.metrics) == set(METHODS)
    for method in METHODS:
        assert list(found.metrics[method]) == ["hard", "sketch", "mean"]
        row = found.metrics[method]["mean"]
        assert all(0.0 <= row[key] <= 1.0 for key in ("accuracy", "accuracy_id", "auroc", "auroc_id"))
        assert list(row["open_sets"]) == ["classes", "textures"]
        assert all(0.0 <= numbers["auroc"] <= 1.0 for numbers in row["open_sets"].values())
    assert found.metrics["tuned"]["mean"]["accuracy"] > 0.6  # a third is chance
    assert "AUROC without a shift" in report
    assert "Open set: textures" in report


def test_the_deployed_fit_knows_every_class(mini: tuple[Any, ...]) -> None:
    splits, _, fits, *_ = mini
    assert known_by_fit(splits)[DEPLOY, 1] == list(CLASSES)
    number = fits.table[(fits.table["target"] == DEPLOY) & (fits.table["method"] == "linear-probe")]["fit"].item()
    assert len(CLASSES) in {len(array) for array in fits.heads[number].arrays.values()}


def test_one_domain_goes_the_whole_way(tmp_path: Path) -> None:
    splits, _, fits, found, epochs, report = whole_way(tmp_path, [*MINI[:6], MINI[-1]])
    assert set(splits["target"]) == {IN_DISTRIBUTION, DEPLOY}
    # Without unknown classes the fit of seed 1 and the deployed one learn the same: 2 methods x 2 seeds.
    assert epochs == 2 * 2 * EPOCHS
    assert len(fits.heads) == 3 * 2
    row = found.metrics["tuned"]["mean"]
    assert row["accuracy"] == row["accuracy_id"] == found.metrics["tuned"][IN_DISTRIBUTION]["accuracy"]
    assert row["n"] == len(set(splits.loc[splits["role"] == "test_id", "path"]))
    assert 0.0 <= row["open_sets"]["textures"]["auroc"] == row["auroc"] <= 1.0
    assert "accuracy on an unseen domain was not measured" in report
    assert "none was held out" in report  # the Hessians of domains
    known = {
        "method": "tuned",
        "reference": "zero-shot",
        "classes": CLASSES,
        "targets": (IN_DISTRIBUTION,),
        "parity": True,
    }
    checks = absolute(facts(found.metrics, **known), -1.0)
    assert all(check.passed and "held-out" not in check.sentence for check in checks)
