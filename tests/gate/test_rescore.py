"""Kept fits say what the evaluation said, on exactly the images that neither side has seen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.decision.fit import Limits
from pipeline.decision.kept import Kept, keep, read_kept, write_kept
from pipeline.detection.scores.spaces import option_of
from pipeline.errors import DataError, GateError
from pipeline.evaluation.predict import score_fits
from pipeline.gate.measure import CHALLENGER, CHAMPION, ID, measure
from pipeline.gate.rescore import rescore
from pipeline.splits import domain_of
from pipeline.tables import TEST_ID, TEST_SHIFTED, TEST_UNKNOWN


@pytest.fixture
def kept(world, manifest, tmp_path: Path):
    """Keeps the fits of a method on disk and reads them again."""

    def make(method: str, score: str = "energy@both") -> Kept:
        found = keep(*world, manifest, method=method, option=option_of(score), limits=Limits())
        write_kept(found, tmp_path / f"{method}-{score}")
        return read_kept(tmp_path / f"{method}-{score}")

    return make


@pytest.mark.parametrize("score", ["energy", "energy@both", "knn"])
def test_both_say_what_the_evaluation_said(world, manifest, kept, score: str) -> None:
    features, fits, splits = world
    found = rescore(kept("plain", score), kept("tuned", score), features, splits, manifest)
    domains = domain_of(manifest)
    expected = score_fits(features, fits, splits, option_of(score), limits=Limits(), domains=domains)
    joined = found.scores.assign(
        method=found.scores["method"].map({CHAMPION: "plain", CHALLENGER: "tuned"}), seed=found.scores["seed"] + 1
    ).merge(expected.scores, on=["method", "target", "seed", "path"], suffixes=("", "_expected"))
    assert len(joined) == len(found.scores) > 0
    np.testing.assert_allclose(joined["score"], joined["score_expected"], rtol=1e-6)
    right, before = joined["predicted"] == joined["label"], joined["predicted_expected"] == joined["label_expected"]
    assert right.equals(before)
    limits = joined.merge(expected.limits, on=["method", "target", "seed"])
    assert limits["rejected"].equals(limits["score"] > limits["threshold"].astype("float32"))
    assert set(found.scores["role"]) == {TEST_SHIFTED, TEST_ID, TEST_UNKNOWN}
    assert (found.known, found.unknown, found.seen) == (54, 18, 0)  # 3 domains x 3 classes x 6; x 1 class x 6


def test_images_that_one_side_has_seen_are_left_out_and_counted(world, manifest, kept) -> None:
    features, _, splits = world
    mine, theirs = kept("plain"), kept("tuned")
    digest = manifest.set_index("path")["sha256"]
    lost = digest[["ink/bee/0.png", "ink/cat/1.png"]]
    fits = [dataclasses.replace(f, seen=f.seen | (set(lost) if f.target == "ink" else set())) for f in theirs.fits]
    found = rescore(dataclasses.replace(theirs, fits=fits), mine, features, splits, manifest)
    of_ink = found.scores[found.scores["target"] == "ink"]
    assert not of_ink["path"].isin(lost.index).any()
    assert (found.seen, found.known) == (2, 52)
    sides = [set(map(tuple, part[["target", "seed", "path"]].to_numpy())) for _, part in found.scores.groupby("method")]
    assert sides[0] == sides[1]


def test_other_known_classes_leave_the_common_ones(world, manifest, kept) -> None:
    features, _, splits = world
    mine, theirs = kept("plain"), kept("tuned")
    renamed = [dataclasses.replace(fit, classes=("bee", "cat", "yak")) for fit in theirs.fits]
    found = rescore(dataclasses.replace(theirs, fits=renamed), mine, features, splits, manifest)
    assert {path.split("/")[1] for path in found.scores["path"]} == {"bee", "cat"}  # yak is known to one of them
    assert "the known classes differ" in found.notes[0]


def test_what_cannot_be_compared_says_why(world, manifest, kept) -> None:
    features, _, splits = world
    mine = kept("plain")
    other = dataclasses.replace(mine, backbone={**mine.backbone, "weights_sha256": "1" * 64})
    with pytest.raises(GateError, match=r"another backbone .*weights_sha256"):
        rescore(other, mine, features, splits, manifest)
    fewer = dataclasses.replace(mine, fits=[fit for fit in mine.fits if fit.target != "ink"])
    with pytest.raises(GateError, match="does not hold out ink"):
        rescore(mine, fewer, features, splits, manifest)
    assert any("ink" in note for note in rescore(fewer, mine, features, splits, manifest).notes)
    everything = frozenset(manifest["sha256"])
    seen = dataclasses.replace(mine, fits=[dataclasses.replace(fit, seen=everything) for fit in mine.fits])
    with pytest.raises(GateError, match="no image"):
        rescore(seen, mine, features, splits, manifest)


def test_measures_are_means_over_domains_and_seeds(world, manifest, kept) -> None:
    features, _, splits = world
    scores = rescore(kept("plain"), kept("tuned"), features, splits, manifest).scores
    found = {item.metric: item for item in measure(scores, domain_of(manifest), resamples=100)}
    own = scores[scores["method"] == CHALLENGER]
    right = own["predicted"] == own["label"]

    def mean(values, rows) -> float:
        return float(values[rows].groupby([own["target"], own["seed"]]).mean().mean())

    shifted, unknown = own["role"] == TEST_SHIFTED, own["role"] == TEST_UNKNOWN
    assert found["accuracy"].challenger == pytest.approx(mean(right, shifted))
    assert found[ID].challenger == pytest.approx(mean(right, own["role"] == TEST_ID))
    by_target = right[shifted].groupby([own["target"], own["seed"]]).mean().groupby("target").mean()
    assert found["accuracy_worst"].challenger == pytest.approx(by_target.min())
    rates = mean(~own["rejected"], shifted), mean(own["rejected"], unknown)
    assert found["decision"].challenger == pytest.approx(sum(rates) / 2)
    assert found["auroc"].effect.gain == pytest.approx(found["auroc"].challenger - found["auroc"].champion)
    fpr = found["fpr95_id_positive"]
    assert fpr.effect.gain == pytest.approx(fpr.champion - fpr.challenger)  # lower is better


def test_without_an_open_set_the_decision_is_about_known_images(world, manifest, kept) -> None:
    features, _, splits = world
    scores = rescore(kept("plain"), kept("tuned"), features, splits[splits["role"] != TEST_UNKNOWN], manifest).scores
    found = {item.metric: item for item in measure(scores, domain_of(manifest), resamples=100)}
    assert set(found) == {ID, "accuracy", "accuracy_worst", "decision"}
    own = scores[(scores["method"] == CHAMPION) & (scores["role"] == TEST_SHIFTED)]
    assert found["decision"].champion == pytest.approx(1 - own["rejected"].mean())


def test_a_version_against_itself_differs_in_nothing(world, manifest, kept) -> None:
    features, _, splits = world
    scores = rescore(kept("plain"), kept("plain"), features, splits, manifest).scores
    for item in measure(scores, domain_of(manifest), resamples=100):
        assert (item.effect.gain, item.effect.images, item.effect.training) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("file", ["protocol.json", "arrays.safetensors", "seen.parquet"])
def test_a_damaged_part_is_named(kept, tmp_path: Path, file: str) -> None:
    kept("plain")
    (tmp_path / "plain-energy@both" / file).write_bytes(b"{}")
    with pytest.raises(DataError, match="plain-energy@both"):
        read_kept(tmp_path / "plain-energy@both")
