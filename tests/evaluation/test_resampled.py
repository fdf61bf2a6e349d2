"""Fits on the same resamples: against copies of images, and what is drawn together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.detection import metrics
from pipeline.evaluation import bootstrap
from pipeline.evaluation.bootstrap import cluster_codes, drawn, interval, key_of
from pipeline.evaluation.intervals import intervals
from pipeline.evaluation.measures import measure
from pipeline.evaluation.resampled import resampled
from pipeline.tables import MEAN, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN

ALL = ("accuracy", "auroc", "fpr95_id_positive", "fpr95_ood_positive")


@pytest.fixture(scope="module")
def tested() -> pd.DataFrame:
    """Two methods, two domains, two seeds: 9 known, 5 unknown images of the domain, 6 of a pool, with ties."""
    rng = np.random.default_rng(0)
    rows = []
    for target in "ab":
        paths = [(f"{target}/cat/{i}", TEST_SHIFTED, "", 0) for i in range(9)]
        paths += [(f"{target}/yak/{i}", TEST_UNKNOWN, "classes", -1) for i in range(5)]
        paths += [(f"open_sets/tex/{i}", TEST_UNKNOWN, "tex", -1) for i in range(6)]
        paths += [("b/cat/99", TEST_ID, "", 0)]
        for method in "mn":
            for seed in (1, 2):
                for path, role, open_set, label in paths:
                    predicted, score = int(rng.integers(0, 2)), float(rng.integers(0, 6)) - 2 * label
                    rows.append((method, target, seed, path, role, open_set, label, predicted, 0.5, score))
    names = ["method", "target", "seed", "path", "role", "open_set", "label", "predicted", "confidence", "score"]
    return pd.DataFrame(rows, columns=names)


def test_every_replicate_is_that_of_copied_images(tested: pd.DataFrame) -> None:
    found = resampled(tested, ALL, resamples=40)
    for (method, target, seed), rows in tested.groupby(["method", "target", "seed"]):
        by_path = rows.set_index("path")
        parts = {
            "": (by_path[by_path["role"] == TEST_SHIFTED], key_of(0, target)),
            "classes": (by_path[by_path["open_set"] == "classes"], key_of(1, target)),
            "tex": (by_path[by_path["open_set"] == "tex"], key_of(2, "tex")),
        }
        draws = {name: next(drawn(np.arange(len(part)), 40, key=key, block=40)) for name, (part, key) in parts.items()}
        for number in range(40):
            copies = {
                name: part.iloc[np.repeat(np.arange(len(part)), draws[name][:, number])]
                for name, (part, _) in parts.items()
            }
            known = copies.pop("")
            expected = {"accuracy": (known["predicted"] == known["label"]).mean()}
            for name in ALL[1:]:
                of_sets = [getattr(metrics, name)(known["score"], part["score"]) for part in copies.values()]
                expected[name] = np.mean(of_sets)
            for name, value in expected.items():
                assert found.loc[(name, method, target, seed), number + 1] == pytest.approx(value, abs=1e-12)


def test_the_first_column_is_what_was_measured(tested: pd.DataFrame) -> None:
    found = resampled(tested, ALL, resamples=3)
    for (method, target, seed), rows in tested.groupby(["method", "target", "seed"]):
        measured = measure(rows, ["classes", "tex"])
        for name in ALL:
            assert found.loc[(name, method, target, seed), 0] == pytest.approx(measured["", name], abs=1e-12)


def test_each_open_set_has_an_interval_of_its_own(tested: pd.DataFrame) -> None:
    both = intervals(resampled(tested, ("auroc",), resamples=200))
    for open_set in ("classes", "tex"):
        alone = tested[(tested["role"] != TEST_UNKNOWN) | (tested["open_set"] == open_set)]
        expected = intervals(resampled(alone, ("auroc",), resamples=200))
        for target in ("a", "b", MEAN):
            found = both["m"][target]["open_sets"][open_set]
            assert found == {end: expected["m"][target][end] for end in ("auroc_low", "auroc_high")}


def test_blocks_change_nothing(tested: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resampled(tested, ALL, resamples=50)
    monkeypatch.setattr(bootstrap, "_CELLS", 150)  # seven resamples of twenty images
    assert resampled(tested, ALL, resamples=50).equals(whole)


def test_a_pool_is_drawn_once_for_all_domains(tested: pd.DataFrame) -> None:
    # Known images all score 0, those of the pool the same in both domains: only the draw of the pool matters.
    pool = tested[(tested["open_set"] == "tex") | (tested["role"] == TEST_SHIFTED)].copy()
    pool["score"] = pool["path"].str[-1].astype(float).where(pool["open_set"] == "tex", 2.5)
    found = resampled(pool, ("auroc",), resamples=20).loc["auroc"]
    assert found.loc[("m", "a", 1)].nunique() > 3
    assert found.loc[("m", "a", 1)].tolist() == found.loc[("n", "b", 2)].tolist()


def test_groups_are_drawn_whole() -> None:
    paths = pd.Index(["a", "b", "c", "d", "e"])
    groups = pd.Series({"b": "x", "d": "x", "other": "x"})
    codes = cluster_codes(paths, groups)
    assert codes.tolist() == [0, 1, 2, 1, 3]
    assert cluster_codes(paths, None).tolist() == [0, 1, 2, 3, 4]
    weights = next(drawn(codes, 200, key=(0,), block=200))
    assert (weights[1] == weights[3]).all()
    assert (weights[[0, 1, 2, 4]].sum(axis=0) == 4).all()  # four groups, drawn four times


def test_copies_of_images_narrow_nothing_if_they_are_grouped(tested: pd.DataFrame) -> None:
    known = tested[(tested["role"] == TEST_SHIFTED) & (tested["seed"] == 1)]
    copies = pd.concat([known.assign(path=known["path"] + f".{number}") for number in range(9)])
    groups = pd.Series(copies["path"].str.rpartition(".")[0].to_numpy(), index=copies["path"].to_numpy())
    groups = groups[~groups.index.duplicated()]
    plain, repeated, grouped = (
        interval(
            resampled(rows, ("accuracy",), resamples=4000, groups=of).loc[("accuracy", "m", "a", 1)].to_numpy()[1:]
        )
        for rows, of in ((known, None), (copies, None), (copies, groups))
    )
    assert grouped == pytest.approx(plain)
    assert repeated[1] - repeated[0] == pytest.approx((plain[1] - plain[0]) / 3, rel=0.15)  # nine times the images


def test_a_mean_over_fewer_domains_has_no_interval(tested: pd.DataFrame) -> None:
    kept = tested[~((tested["method"] == "m") & (tested["target"] == "b"))]
    ends = intervals(resampled(kept, ("accuracy", "auroc"), resamples=20))
    assert np.isnan(ends["m"][MEAN]["auroc_low"])
    assert ends["n"][MEAN]["auroc_low"] <= ends["n"][MEAN]["auroc_high"]


def test_nothing_tested_is_an_empty_table(tested: pd.DataFrame) -> None:
    assert resampled(tested[tested["role"] == TEST_ID], ALL, resamples=5).empty
    assert set(resampled(tested[tested["open_set"] == ""], ALL, resamples=5).index.unique("metric")) == {"accuracy"}
