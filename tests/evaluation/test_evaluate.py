"""All numbers in one call."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.evaluation.results import flat
from pipeline.params import Evaluate
from pipeline.params.choice import Export

ABSENT = Export(method="absent", score="energy")


def run(world, manifest: pd.DataFrame, **more: int) -> Evaluation:
    return evaluate(
        *world, manifest, Evaluate(bootstrap=100, bins=20, **{"hessian_probes": 0, **more}),
        export=Export(method="tuned", score="energy"),
    )  # fmt: skip


def test_gives_scores_metrics_curves_and_differences(world, scores, summary, manifest: pd.DataFrame) -> None:
    result = run(world, manifest)
    columns = [name for name in scores if name != "confidence"]  # which the temperature changes
    assert result.scores[columns].equals(scores[columns])
    assert set(result.metrics) == {"plain", "tuned"}
    assert result.metrics["tuned"]["oil"]["accuracy"] == summary["tuned"]["oil"]["accuracy"]
    assert set(result.curves) == {"accuracy", "classes", "decisions", "histogram", "history", "reliability", "roc"}
    assert all(0 < len(curve) <= 300 for curve in result.curves.values())
    compared = [(item.metric, item.method, item.reference, item.seeds) for item in result.differences]
    assert compared == [("accuracy", "tuned", "plain", 2), ("auroc", "tuned", "plain", 2)]
    for metric in ("accuracy", "auroc"):
        numbers = {name: result.metrics[name]["mean"] for name in ("plain", "tuned")}
        gain = numbers["tuned"][metric] - numbers["plain"][metric]
        assert next(item.value for item in result.differences if item.metric == metric) == pytest.approx(gain)
        assert all(row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"] for row in numbers.values())
    assert result.settings == {name: {"train": name == "tuned", "epochs": 3} for name in ("plain", "tuned")}
    assert result.diverged.empty
    assert result.agreement.empty


def test_diverged_fits_are_left_out_and_named(world, manifest: pd.DataFrame) -> None:
    features, fits, splits = world
    table = fits.table
    lost = (table["method"] == "tuned") & (table["target"] == "oil")
    result = run((features, dataclasses.replace(fits, table=table.assign(diverged=lost)), splits), manifest)
    assert result.diverged["fit"].tolist() == table.loc[lost, "fit"].tolist()
    assert result.metrics["tuned"]["mean"]["accuracy"] is None
    assert "tuned.mean.accuracy" not in flat(result.metrics)


def test_near_duplicates_are_drawn_together(world, manifest: pd.DataFrame) -> None:
    single = run(world, manifest).metrics["tuned"]["oil"]
    places = manifest["path"].str.rpartition("/")[0]
    twins = manifest.assign(phash=manifest.groupby(places)["phash"].transform("first"))  # all of a class look alike
    grouped = run(world, twins).metrics["tuned"]["oil"]
    assert grouped["accuracy"] == single["accuracy"]
    assert (grouped["accuracy_low"], grouped["auroc_low"]) != (single["accuracy_low"], single["auroc_low"])


def test_a_deployed_method_without_a_fit_is_compared_with_nothing(world, manifest: pd.DataFrame) -> None:
    result = evaluate(*world, manifest, Evaluate(bootstrap=100, bins=20, hessian_probes=0), export=ABSENT)
    assert result.differences == ()


def test_agreement_of_hessians_is_in_metrics_and_curves(world, manifest: pd.DataFrame) -> None:
    result = run(world, manifest, hessian_probes=2)
    table = result.curves["hessian"]
    assert set(table["method"]) == {"plain", "tuned"}
    assert not (table["target"] == table["source"]).any()
    rows = table[(table["method"] == "tuned") & (table["target"] == "oil")]
    assert result.metrics["tuned"]["oil"]["hessian_cosine"] == pytest.approx(rows["cosine"].mean())
    assert len(result.agreement) == 2 * 3 * 2
