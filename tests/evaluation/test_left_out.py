"""Leaving classes out, and the choice that rests on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.detection.scores.spaces import option_of, options
from pipeline.errors import DataError
from pipeline.evaluation.choice import rank
from pipeline.evaluation.left_out import class_folds, fold_name, left_out_aurocs, left_out_splits
from pipeline.features import Features
from pipeline.fits import Head
from pipeline.tables import SPLITS, TEST_ID, TEST_UNKNOWN_ID, TRAIN, UNKNOWN_CLASSES, VALIDATION, write_table

CLASSES = [f"c{number}" for number in range(7)]
SCALE = 20.0


def splits(seeds: tuple[int, ...] = (1, 2)) -> pd.DataFrame:
    """Five training, two validation and two test images a class."""
    roles = [TRAIN] * 5 + [VALIDATION] * 2 + [TEST_ID] * 2
    rows = [
        {"target": "t", "seed": seed, "path": f"{name}/{place}", "role": role, "class": name, "label": label}
        for seed in seeds
        for label, name in enumerate(CLASSES)
        for place, role in enumerate(roles)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(open_set="")


def features() -> Features:
    """Every image lies near its class; classes are orthogonal."""
    draw, text = np.random.default_rng(0), np.eye(len(CLASSES), 16, dtype=np.float32)
    table = splits((1,))
    images = text[table["label"]] + 0.02 * draw.normal(size=(len(table), 16))
    index = pd.DataFrame({"path": table["path"], "view_row": range(len(table))})
    images = images.astype(np.float32)
    return Features(index, images, images[:, None], text, {"classes": CLASSES, "logit_scale": SCALE})


def heads(table: pd.DataFrame) -> list[tuple[str, str, int, Head]]:
    """Zero-shot on each fold, and a head that cannot tell anything."""
    made = []
    for (target, seed), part in table.groupby(["target", "seed"]):
        known = part[part["label"] >= 0].drop_duplicates("label").sort_values("label")["class"]
        text = features().text[[CLASSES.index(name) for name in known]]
        for method, prototypes in (("zero-shot", text), ("blind", np.zeros_like(text))):
            made.append(
                (method, str(target), int(seed), Head("zero-shot", {"prototypes": prototypes}, {"scale": SCALE}))
            )
    return made


def test_every_class_is_left_out_once_and_never_trained_there(tmp_path: Path) -> None:
    table = left_out_splits(splits(), 3)
    write_table(table, tmp_path / "splits.parquet", SPLITS)  # it is one: columns, types and keys
    for seed, of_seed in table.groupby("seed"):
        out = of_seed[of_seed["role"] == TEST_UNKNOWN_ID]
        assert sorted(out["class"].unique()) == CLASSES
        assert not out.duplicated("path").any()
        assert len(out) == 2 * len(CLASSES)
        for _, fold in of_seed.groupby("target"):
            inside = fold[fold["label"] >= 0]
            assert set(inside["class"]).isdisjoint(fold.loc[fold["label"] < 0, "class"])
            assert set(inside["role"]) == {TRAIN, VALIDATION}
            by_class = inside.groupby("class")["label"].unique()
            assert [list(labels) for labels in by_class] == [[number] for number in range(len(by_class))]
        assert set(of_seed["target"]) == {fold_name("t", number) for number in range(3)}
        assert seed in (1, 2)
    unknown = table["label"] < 0
    assert set(table.loc[unknown, "open_set"]) == {UNKNOWN_CLASSES}
    of_fold = table[unknown & (table["target"] == fold_name("t", 0))]
    first, second = (set(part["class"]) for _, part in of_fold.groupby("seed"))
    assert first != second  # folds are drawn by the seed


def test_test_images_change_nothing() -> None:
    table = splits()
    permuted = table.copy()
    tests = permuted["role"] == TEST_ID
    permuted.loc[tests, "path"] = permuted.loc[tests, "path"].to_numpy()[::-1]
    permuted.loc[tests, ["class", "label"]] = permuted.loc[tests, ["class", "label"]].to_numpy()[::-1]
    for other in (permuted, table[~tests]):
        pd.testing.assert_frame_equal(left_out_splits(other, 3), left_out_splits(table, 3))


@pytest.mark.parametrize(("classes", "folds", "sizes"), [(7, 3, [3, 2, 2]), (7, 9, [3, 2, 2]), (3, 3, [2, 1])])
def test_folds_leave_two_classes_out_where_there_are_enough(classes: int, folds: int, sizes: list[int]) -> None:
    made = class_folds(CLASSES[:classes], folds, 1)
    assert [len(fold) for fold in made] == sizes
    assert set().union(*made) == set(CLASSES[:classes])


def test_two_classes_are_too_few() -> None:
    with pytest.raises(DataError, match=r"three known classes or more, found 2; name export.score"):
        class_folds(CLASSES[:2], 2, 1)


def test_a_score_is_right_where_the_head_tells_classes_apart() -> None:
    table, chosen = left_out_splits(splits(), 3), [option_of(name) for name in ("mcm", "energy@zero-shot", "knn")]
    result = left_out_aurocs(heads(table), table, features(), chosen)
    assert len(result) == 2 * 2 * 3 * 3  # methods, seeds, folds, scores
    by = result.groupby(["method", "option"])["auroc"].agg(["min", "max"])
    assert (by.loc["zero-shot"] == 1.0).all(axis=None)
    assert (by.loc[("blind", "mcm")] == 0.5).all()  # its logits are all equal
    assert (by.loc[[("blind", "energy@zero-shot"), ("blind", "knn")]] == 1.0).all(axis=None)  # these do not ask it
    everything = left_out_aurocs(heads(table)[:1], table, features(), list(options()))
    assert len(everything) == len(list(options()))


def test_choice_is_the_harmonic_mean_and_ties_go_to_the_simpler_pair_by_hand() -> None:
    aurocs = pd.DataFrame(
        [
            ("plain", "energy", 0.70), ("plain", "energy", 0.90),  # mean 0.8
            ("plain", "mcm", 0.60), ("tuned", "energy", 0.50), ("tuned", "mcm", 0.80), ("odd", "mcm", 1.0),
        ],
        columns=["method", "option", "auroc"],
    )  # fmt: skip
    ranking = rank({"plain": 0.8, "tuned": 0.8}, aurocs)
    # 2 · 0.8 · 0.8 / 1.6 twice, then 2 · 0.8 · 0.6 / 1.4 and 2 · 0.8 · 0.5 / 1.3; `odd` has no accuracy.
    expected = [("plain", "energy", 0.8), ("tuned", "mcm", 0.8), ("plain", "mcm", 0.6857), ("tuned", "energy", 0.6154)]
    assert list(ranking[["method", "option", "value"]].itertuples(index=False, name=None)) == expected
    better = rank({"plain": 0.8, "tuned": 0.8002}, aurocs)
    assert tuple(better.loc[0, ["method", "option"]]) == ("tuned", "mcm")
