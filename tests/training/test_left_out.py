"""Splits without some of the known classes and without a domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.methods.settings import options
from pipeline.tables import (
    DEPLOY,
    SPLITS,
    TEST_ID,
    TEST_SHIFTED,
    TEST_UNKNOWN,
    TEST_UNKNOWN_ID,
    TRAIN,
    UNKNOWN_CLASSES,
    VALIDATION,
    write_table,
)
from pipeline.training.left_out import class_folds, fold_name, in_batches, left_out_splits
from pipeline.training.runs import Run

CLASSES = [f"c{number}" for number in range(7)]
DOMAINS = ["ink", "oil", "web"]


def splits(
    targets: tuple[str, ...] = ("ink", "oil", "web"), seeds: tuple[int, ...] = (1, 2), classes: list[str] = CLASSES
) -> pd.DataFrame:
    """Five training, two validation and two test images a class and domain; the held-out domain is for testing."""
    rows = [
        {
            "target": target, "seed": seed, "path": f"{domain}/{name}/{place}",
            "role": TEST_SHIFTED if domain == target else role, "class": name, "label": label,
        }
        for target in targets
        for seed in seeds
        for domain in DOMAINS
        for label, name in enumerate(classes)
        for place, role in enumerate([TRAIN] * 5 + [VALIDATION] * 2 + [TEST_ID] * 2)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(open_set="")


def domains(table: pd.DataFrame) -> dict[str, str]:
    return {path: path.split("/")[0] for path in table["path"]}


def made(table: pd.DataFrame, folds: int = 3, seeds: int = 2) -> pd.DataFrame:
    return left_out_splits(table, domains(table), folds, seeds)


def test_every_class_is_left_out_and_never_trained_there(tmp_path: Path) -> None:
    table = made(splits())
    write_table(table, tmp_path / "splits.parquet", SPLITS)  # it is one: columns, types and keys
    for _, of_seed in table.groupby("seed"):
        assert sorted(of_seed.loc[of_seed["role"] == TEST_UNKNOWN_ID, "class"].unique()) == CLASSES
        # The domains take turns with the folds.
        names = [fold_name(target, number) for number, target in enumerate(DOMAINS)]
        assert list(dict.fromkeys(of_seed["target"])) == names
        for _, fold in of_seed.groupby("target"):
            inside = fold[fold["label"] >= 0]
            assert set(inside["class"]).isdisjoint(fold.loc[fold["label"] < 0, "class"])
            labels = inside.groupby("class")["label"].unique()
            assert [list(values) for values in labels] == [[number] for number in range(len(labels))]
    unknown = table["label"] < 0
    assert set(table.loc[unknown, "open_set"]) == {UNKNOWN_CLASSES}
    of_fold = table[unknown & (table["target"] == fold_name("ink", 0))]
    first, second = (set(part["class"]) for _, part in of_fold.groupby("seed"))
    assert first != second  # folds are cut by the seed


def test_a_source_domain_is_left_out_and_only_its_validation_images_are_seen() -> None:
    table = made(splits())
    table["domain"] = table["path"].str.split("/").str[0]
    shifted = set()
    for (target, seed), fold in table.groupby(["target", "seed"]):
        held_out = target.split(",")[0]
        assert held_out not in set(fold["domain"])
        (out,) = fold.loc[fold["role"] == TEST_SHIFTED, "domain"].unique()
        assert set(fold.loc[fold["role"].isin([TRAIN, VALIDATION]), "domain"]) == set(DOMAINS) - {held_out, out}
        assert set(fold.loc[fold["domain"] == out, "path"].str.split("/").str[2]) == {"5", "6"}  # validation images
        # Two validation images a class and domain, of the classes in the fold in both source domains.
        unknown = fold[fold["role"] == TEST_UNKNOWN_ID]
        assert len(unknown) == 2 * 2 * unknown["class"].nunique()
        shifted.add((held_out, seed, out))
    assert len({out for _, _, out in shifted}) == 3  # they take turns


def test_one_source_domain_stays_whole() -> None:
    table = splits(("oil",))
    table = table[table["path"].str.startswith("ink/") | (table["role"] == TEST_SHIFTED)]
    assert TEST_SHIFTED not in set(made(table)["role"])
    # Also where each class has one domain of its own: none can be left out.
    table = splits(("in-distribution",))
    own = table["path"].str.split("/").str[0] == table["class"].map(dict(zip(CLASSES, DOMAINS * 3, strict=False)))
    assert set(made(table[own])["role"]) == {TRAIN, VALIDATION, TEST_UNKNOWN_ID}


def test_test_images_change_nothing() -> None:
    table = splits().assign(number=range(9 * 7 * 3 * 6))
    tests = ~table["role"].isin([TRAIN, VALIDATION])
    permuted = table.copy()
    for column in ("path", "class", "label"):
        permuted.loc[tests, column] = permuted.loc[tests, column].to_numpy()[::-1]
    unknown = table[tests].assign(role=TEST_UNKNOWN, label=-1, open_set="x")
    for other in (permuted, table[~tests], pd.concat([table[~tests], unknown])):
        pd.testing.assert_frame_equal(
            left_out_splits(other, domains(table), 3, 2).drop(columns="number"), made(table).drop(columns="number")
        )


def test_the_deployed_fit_is_asked_only_where_no_domain_is_held_out() -> None:
    whole = splits((DEPLOY,), seeds=(1,))
    both = made(pd.concat([splits(("ink",)), whole]))
    assert {target.split(",")[0] for target in both["target"]} == {"ink"}
    assert {target.split(",")[0] for target in made(whole)["target"]} == {DEPLOY}


@pytest.mark.parametrize(
    ("classes", "folds", "sizes"), [(7, 3, [3, 2, 2]), (7, 9, [3, 2, 2]), (4, 3, [2, 2]), (3, 2, [1, 1, 1])]
)
def test_folds_leave_two_classes_out_where_there_are_enough(classes: int, folds: int, sizes: list[int]) -> None:
    cut = class_folds(CLASSES[:classes], folds, 1)
    assert [len(fold) for fold in cut] == sizes
    assert set().union(*cut) == set(CLASSES[:classes])


def test_nothing_is_left_out_of_two_classes_or_without_folds() -> None:
    assert made(splits(classes=CLASSES[:2])).empty
    assert made(splits(), folds=0).empty


def test_a_small_fold_gets_a_batch_that_it_can_fill() -> None:
    def run(images: int) -> Run:
        rows = np.arange(images)
        return Run("m", "t", 1, options({"kind": "linear-probe", "batch_size": 8}), rows, rows % 2, rows[:0], rows[:0])

    assert [of.setting("batch_size") for of in in_batches([run(20), run(8), run(5)])] == [8, 8, 5]
    assert [of.batches for of in in_batches([run(20), run(5)])] == [2, 1]
