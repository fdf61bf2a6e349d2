"""Scores of fits against the formula, written out again in float64."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.decision import fit as module
from pipeline.detection.scores.spaces import option_of
from pipeline.errors import DataError
from pipeline.evaluation.predict import score_fits
from pipeline.tables import DEPLOY, SCORES, TRAIN, VALIDATION, read_table, write_table

ENERGY = option_of("energy")


def test_equals_the_formula(world, scores) -> None:
    features, fits, _ = world
    position = {path: row for row, path in enumerate(features.index["path"])}
    clean, text = features.clean.astype("float64"), features.text.astype("float64")

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / (np.sqrt((rows**2).sum(1, keepdims=True)) + 1e-6)

    table = fits.table.set_index(["method", "target", "seed"])
    for key, part in scores.groupby(["method", "target", "seed"], sort=False):
        own = table.loc[key]
        f = clean[[position[path] for path in part["path"]]]
        arrays = fits.heads[own["fit"]].arrays
        W_I, W_T = arrays["image_weight"].astype("float64"), arrays["text_weight"].astype("float64")
        logits = 20.0 * unit(0.2 * f @ W_I.T + 0.8 * f) @ unit(0.5 * text @ W_T.T + 0.5 * text).T
        odds = np.exp(logits)
        np.testing.assert_array_equal(part["predicted"], logits.argmax(1))
        np.testing.assert_allclose(part["confidence"], odds.max(1) / odds.sum(1), rtol=1e-5)
        np.testing.assert_allclose(part["score"], -np.log(odds.sum(1)), rtol=1e-5, atol=1e-5)


def test_scores_exactly_the_test_images_of_each_fit(world, scores, tmp_path: Path) -> None:
    _, _, splits = world
    tested = splits[(splits["target"] != DEPLOY) & ~splits["role"].isin([TRAIN, VALIDATION])]
    for method in ("plain", "tuned"):
        own = scores.loc[
            scores["method"] == method, ["target", "seed", "path", "role", "open_set", "label"]
        ].reset_index(drop=True)
        assert own.equals(tested[list(own.columns)].reset_index(drop=True))
    write_table(scores, tmp_path / "scores.parquet", SCORES)
    assert read_table(tmp_path / "scores.parquet", SCORES).equals(scores)


def test_small_batches_change_nothing(world, scores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 5)
    again = score_fits(*world, ENERGY).scores
    np.testing.assert_allclose(again["score"], scores["score"], rtol=1e-6, atol=1e-5)  # rounding of logits near 20
    assert again["predicted"].equals(scores["predicted"])


def test_leaves_out_diverged_fits(world, scores) -> None:
    features, fits, splits = world
    gone = (fits.table["method"] == "tuned") & (fits.table["target"] == "oil") & (fits.table["seed"] == 2)
    found = score_fits(
        features, dataclasses.replace(fits, table=fits.table.assign(diverged=gone)), splits, ENERGY
    ).scores
    expected = scores[~((scores["method"] == "tuned") & (scores["target"] == "oil") & (scores["seed"] == 2))]
    assert found.equals(expected.reset_index(drop=True))


def test_refuses_when_every_fit_diverged(world) -> None:
    features, fits, splits = world
    with pytest.raises(DataError, match="every fit"):
        score_fits(features, dataclasses.replace(fits, table=fits.table.assign(diverged=True)), splits, ENERGY)


def test_names_the_fit_whose_split_is_missing(world) -> None:
    features, fits, splits = world
    with pytest.raises(DataError, match="target 'oil', seed 1"):
        score_fits(features, fits, splits[splits["target"] != "oil"], ENERGY)
