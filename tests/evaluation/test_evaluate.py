"""The whole evaluation in one call."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline.evaluation.evaluate import Evaluation, evaluate


@pytest.fixture
def manifest(world, tmp_path: Path) -> pd.DataFrame:
    paths = world[0].index["path"]
    for place, path in enumerate(paths):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (place, 0, 0)).save(tmp_path / path)
    parts = paths.str.split("/")
    return pd.DataFrame({"path": paths, "domain": parts.str[0], "class": parts.str[1], "pool": "", "sha256": paths})


def run(world, manifest: pd.DataFrame, root: Path, **more: int) -> Evaluation:
    features, fits, splits = world
    return evaluate(
        features,
        fits,
        splits,
        manifest,
        root=root,
        max_pixels=10_000,
        deployed="tuned",
        bootstrap=100,
        bins=20,
        lineage={"commit": "0123abcd"},
        **more,
    )


def test_gives_scores_metrics_curves_and_a_report(world, scores, manifest: pd.DataFrame, tmp_path: Path) -> None:
    found = run(world, manifest, tmp_path)
    assert found.scores.equals(scores)
    assert set(found.metrics) == {"plain", "tuned"}
    assert all(0 < len(curve) <= 300 for curve in found.curves.values())
    assert "0123abcd" in found.report
    assert found.flat_metrics()["tuned.oil.accuracy"] == found.metrics["tuned"]["oil"]["accuracy"]


def test_names_diverged_fits(world, manifest: pd.DataFrame, tmp_path: Path) -> None:
    features, fits, splits = world
    table = fits.table
    gone = (table["method"] == "tuned") & (table["target"] == "oil")
    found = run((features, dataclasses.replace(fits, table=table.assign(diverged=gone)), splits), manifest, tmp_path)
    assert (
        "tuned diverged with oil held out, seed 1, and is left out; it was set to train: True, epochs: 3."
        in found.report
    )
    assert found.metrics["tuned"]["mean"]["accuracy"] is None
    assert "tuned.mean.accuracy" not in found.flat_metrics()


def test_agreement_of_hessians_is_in_metrics_plots_and_report(world, manifest: pd.DataFrame, tmp_path: Path) -> None:
    fits = world[1]
    found = run(world, manifest, tmp_path, hessian_probes=2)
    table = found.curves["hessian"]
    held_out = fits.table[fits.table["target"] != "*"]
    assert set(table["method"]) == set(held_out["method"])
    assert not (table["target"] == table["source"]).any()
    own = table[(table["method"] == "tuned") & (table["target"] == "oil")]
    assert found.metrics["tuned"]["oil"]["hessian_cosine"] == pytest.approx(own["cosine"].mean())
    assert "cosine, held-out with source" in found.report
    assert found.report.count("<svg") == run(world, manifest, tmp_path).report.count("<svg") + 1
