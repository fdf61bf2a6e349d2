"""All methods on features of real images; the whole benchmarks need CROFT_REAL_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.real_features import candidates, choose, label, markdown, measure, settings_of, without_prompts
from benchmarks.real_inputs import EXPERIMENTS, clip, pacs
from pipeline.errors import DataError
from pipeline.params import load_params
from pipeline.tables import TEST_ID, TEST_SHIFTED, TRAIN, VALIDATION
from tests.benchmarks.conftest import CLASSES, NAMES, WIDTH

real = pytest.mark.skipif("CROFT_REAL_DATA" not in os.environ, reason="CROFT_REAL_DATA is not set: no real features")


@pytest.mark.parametrize(("name", "file"), [("clip", "clip_vitb32.npz"), ("pacs", "pacs_features.npz")])
def test_missing_file_is_named(tmp_path: Path, name: str, file: str) -> None:
    with pytest.raises(DataError, match=f"{file}: no such file; set CROFT_REAL_DATA"):
        EXPERIMENTS[name](tmp_path, seeds=(1,))


def test_clip_gives_each_image_one_role_and_tests_no_source_image(folder: Path) -> None:
    splits = clip(folder, seeds=(1, 2)).splits
    assert not splits.duplicated(["target", "seed", "path"]).any()
    counts = splits.groupby(["target", "seed", "role"]).size()
    for seed in (1, 2):
        # Of 16 few-shot images 12 train; val and test parts are as they are; ImageNet's 7 are all test.
        expected = {TRAIN: 12, VALIDATION: 3, TEST_ID: 4, TEST_SHIFTED: 7}
        assert counts["imagenet", seed].to_dict() == {role: number * CLASSES for role, number in expected.items()}
        expected = {TRAIN: 5, VALIDATION: 2, TEST_SHIFTED: 4}
        assert counts["caltech", seed].to_dict() == {role: number * CLASSES for role, number in expected.items()}
    domain = splits["path"].str.split("/").str[0]
    seen = splits["role"].isin([TRAIN, VALIDATION])
    assert (domain[seen] != splits.loc[seen, "target"]).all()
    train = splits[(splits["role"] == TRAIN) & (splits["target"] == "imagenet")]
    assert set(train.loc[train["seed"] == 1, "path"]) != set(train.loc[train["seed"] == 2, "path"])


def test_clip_keeps_unknown_images_out_of_its_features(folder: Path) -> None:
    experiment = clip(folder, seeds=(1,))
    assert {name: len(images) for name, images in experiment.open_sets.items()} == {"near": 4, "dtd": 9, "flowers": 11}
    assert len(experiment.features.clean) == CLASSES * (16 + 3 + 4 + 7)
    assert experiment.features.meta["classes"] == sorted(NAMES)
    # Class a is third in the file, first among the sorted labels.
    np.testing.assert_array_equal(experiment.features.text[0], np.eye(CLASSES, WIDTH, dtype=np.float32)[2])
    assert set(experiment.splits.loc[experiment.splits["class"] == "a", "label"]) == {0}


def test_clip_is_measured_in_both_directions(folder: Path) -> None:
    experiment = clip(folder, seeds=(1,))
    table = measure(experiment, ("zero-shot", "croft"), epochs=2)
    assert sorted(zip(table["method"], table["target"], strict=True)) == [
        ("croft", "caltech"), ("croft", "imagenet"), ("zero-shot", "caltech"), ("zero-shot", "imagenet"),
    ]  # fmt: skip
    by_target = table.set_index(["method", "target"])
    assert np.isnan(by_target.loc[("croft", "caltech"), "accuracy_id"])  # no ImageNet image is left to test on
    # Clusters lie on their prompts, and unknown images as far from each: everything is right, every score tells.
    for column in ("accuracy", "energy near auroc", "mcm near auroc"):
        assert by_target.loc[("zero-shot", "imagenet"), column] == 1.0
    text = markdown(table, pooled=experiment.pooled)
    assert "Held out: caltech; detection by mcm" in text
    assert "| method | validation | held out |" in text
    assert "| method | validation | test | held out |" in text


def test_choice_is_by_mean_validation_of_each_target() -> None:
    # Target s: means 0.5 and 0.6, so the second; target t: 0.7 and a diverged one, so the first; u: equal, the first.
    table = pd.DataFrame(
        {
            "method": "m",
            "target": ["s", "s", "s", "s", "t", "t", "u", "u"],
            "chosen": ["lr 2", "lr 2", "lr 1", "lr 1", "lr 2", "lr 1", "lr 2", "lr 1"],
            "seed": [1, 2, 1, 2, 1, 1, 1, 1],
            "validation": [0.9, 0.1, 0.6, 0.6, 0.7, np.nan, 0.8, 0.8],
        }
    )
    assert list(choose(table).index) == [2, 3, 4, 6]


def test_methods_that_learn_prompts_are_left_out() -> None:
    finetune = load_params().finetune
    assert set(finetune.methods) - set(without_prompts(finetune)) == {"coop"}


def test_grids_fit_the_kind_of_method() -> None:
    finetune = load_params().finetune
    rates = (0.1, 0.2)
    assert candidates(settings_of(finetune, "zero-shot"), rates) == [{}]
    assert candidates(settings_of(finetune, "tip-adapter"), rates) == [{}]
    assert candidates(settings_of(finetune, "adapters-edr"), rates) == [{"lr": 0.1}, {"lr": 0.2}]
    assert len(candidates(settings_of(finetune, "croft"), rates)) == 4
    assert {"lr": 0.002} in candidates(settings_of(finetune, "linear-probe"), rates)


def test_what_the_grids_set_is_named() -> None:
    finetune = load_params().finetune
    assert label(settings_of(finetune, "croft") | {"lr": 0.02, "lambda_1": 15.0}) == "lr 0.02, λ1 15, λ2 1"
    assert label(settings_of(finetune, "adapters") | {"lr": 0.06}) == "lr 0.06"
    assert label(settings_of(finetune, "linear-probe") | {"lr": 0.002}) == "lr 0.002"
    assert label(settings_of(finetune, "tip-adapter")) == label(settings_of(finetune, "zero-shot")) == ""


@real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "accuracies"),
    [
        # Zero-shot accuracies that came with the files, of all test images of a domain.
        ("pacs", {"photo": 0.666, "art_painting": 0.504, "cartoon": 0.301, "sketch": 0.270}),
        ("clip", {"caltech": 0.961, "imagenet": 0.914}),
    ],
)
def test_all_methods_on_real_features(name: str, accuracies: dict[str, float]) -> None:
    experiment = {"clip": clip, "pacs": pacs}[name](Path(os.environ["CROFT_REAL_DATA"]), seeds=(1,))
    table = measure(experiment, epochs=3)
    assert set(table["method"]) == set(load_params().finetune.methods) - {"coop"}
    zero = table[table["method"] == "zero-shot"].set_index("target")["accuracy"]
    assert zero.round(3).to_dict() == pytest.approx(accuracies, abs=1e-3)
    numbers = table.drop(columns=["method", "target", "chosen", "accuracy_id"])
    assert np.isfinite(numbers.to_numpy(float)).all()
    assert len(markdown(table, pooled=experiment.pooled).splitlines()) > 2 * table["method"].nunique()
