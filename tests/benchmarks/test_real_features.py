"""All methods on features of real images; needs CROFT_REAL_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.real_features import _choose, _chosen, load, markdown, measure, without_prompts
from pipeline.errors import DataError
from pipeline.params import load_params
from pipeline.training.settings import settings


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pacs_features.npz: is not there; set CROFT_REAL_DATA"):
        load(tmp_path)


def test_choice_is_by_mean_validation_of_each_target() -> None:
    # Target s: means 0.5 and 0.6, so candidate 1; target t: 0.7 and a diverged one, so candidate 0.
    table = pd.DataFrame(
        {
            "method": "m",
            "target": ["s", "s", "s", "s", "t", "t"],
            "candidate": [0, 0, 1, 1, 0, 1],
            "seed": [1, 2, 1, 2, 1, 1],
            "validation": [0.9, 0.1, 0.6, 0.6, 0.7, np.nan],
        }
    )
    assert list(_choose(table).index) == [2, 3, 4]


def test_methods_that_learn_prompts_are_left_out() -> None:
    finetune = load_params().finetune
    assert set(finetune.methods) - set(without_prompts(finetune)) == {"coop"}


def test_what_the_grids_set_is_named() -> None:
    adapters = settings({"lr": 0.02, "lambda_1": 15.0, "lambda_2": 1.0})
    assert _chosen(adapters) == "lr 0.02, λ1 15, λ2 1"
    assert _chosen(settings({"lr": 0.06, "generator": False, "lambda_2": 0.0})) == "lr 0.06"
    assert _chosen(settings({"kind": "linear-probe", "lr": 0.002})) == "lr 0.002"
    assert _chosen(settings({"train": False})) == ""


@pytest.mark.slow
@pytest.mark.skipif("CROFT_REAL_DATA" not in os.environ, reason="CROFT_REAL_DATA is not set: no real features here")
def test_all_methods_on_real_features() -> None:
    table = measure(Path(os.environ["CROFT_REAL_DATA"]), seeds=(1,), epochs=3)
    assert set(table["method"]) == set(load_params().finetune.methods) - {"coop"}
    zero = table[table["method"] == "zero-shot"].set_index("target")["accuracy"]
    # Zero-shot accuracies that came with the file, of all images of a domain.
    expected = {"photo": 0.666, "art_painting": 0.504, "cartoon": 0.301, "sketch": 0.270}
    assert zero.round(3).to_dict() == pytest.approx(expected, abs=1e-3)
    numbers = table.drop(columns=["method", "target", "chosen"])
    assert np.isfinite(numbers.to_numpy(float)).all()
    assert len(markdown(table).splitlines()) > 2 * table["method"].nunique()
