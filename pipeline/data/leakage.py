"""Checks on the split table itself that nothing leaks from test to training; how the table was made is not trusted."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pipeline.data.choice import FREE, GIVEN_TEST, GIVEN_TRAIN, GIVEN_VALIDATION
from pipeline.errors import DataError
from pipeline.tables import (
    DEPLOY,
    IN_DISTRIBUTION,
    ROLES,
    TEST_ID,
    TEST_SHIFTED,
    TEST_UNKNOWN,
    TEST_UNKNOWN_ID,
    TRAIN,
    UNKNOWN_CLASSES,
    VALIDATION,
)

if TYPE_CHECKING:
    import pandas as pd

_FIT = ["target", "seed"]


def check_splits(
    splits: pd.DataFrame,
    manifest: pd.DataFrame,
    *,
    unknown: Collection[str] = (),
    sources: Collection[str] = (),
    left_out: Collection[tuple[str, str]] = (),
) -> None:
    """Verify a split table.

    Args:
        splits: SPLITS table.
        manifest: MANIFEST table that it was made from.
        unknown: classes that no fit may know.
        sources: domains that may train; none means all but the held-out one.
        left_out: (pool, class) pairs that mean a known class, so that they are no unknowns.
    Raises:
        DataError: an image is trained or validated on in its held-out domain, in a domain that may not train, in a
            pool, with a class that its fit does not know, or against the part that it was given with; serves twice in
            one fit (itself, or as another file of equal content); is tested in the wrong domain or open set; is unknown
            to the manifest, or carries another class or label than it has. The error names a path.
    """
    columns = ["path", "domain", "class", "pool", "part", "sha256"]
    table = splits.merge(manifest[columns], on="path", how="left", suffixes=("", "_found"))
    _refuse(table, table["sha256"].isna(), "is in no row of the manifest")
    _refuse(table, table["class"] != table["class_found"], "carries another class than its folder")
    _refuse(table, ~table["role"].isin(ROLES), "has an unknown role")
    _check_training(table, unknown, sources)
    _check_twice(table)
    _check_tests(table)
    _check_open_sets(table, left_out)
    _check_labels(table)


def _check_training(table: pd.DataFrame, unknown: Collection[str], sources: Collection[str]) -> None:
    training, validating = table["role"] == TRAIN, table["role"] == VALIDATION
    fitted = training | validating
    _refuse(table, fitted & (table["domain"] == table["target"]), "lies in the held-out domain and is trained or "
            "validated on")  # fmt: skip
    _refuse(table, fitted & (table["pool"] != ""), "lies in a pool and is trained or validated on")
    if sources:
        _refuse(table, fitted & ~table["domain"].isin(list(sources)), "lies in a domain that may not train")
    _refuse(table, fitted & (table["label"] < 0), "is of an unknown class and is trained or validated on")
    _refuse(table, fitted & table["class"].isin(list(unknown)), "is of a class that no fit may know")
    _refuse(table, training & ~table["part"].isin([FREE, GIVEN_TRAIN]), "was not given for training")
    given = table["part"].isin([FREE, GIVEN_TRAIN, GIVEN_VALIDATION])
    _refuse(table, validating & ~given, "was given for test and is validated on")


def _check_twice(table: pd.DataFrame) -> None:
    _refuse(table, table.duplicated([*_FIT, "path"], keep=False), "has two roles in one fit")
    content = [*_FIT, "sha256"]
    # Two equal files in pools are counted twice, which is no leak; one in a pool and one outside is.
    twice = table.duplicated(content, keep=False) & (
        (table["pool"] == "") | ~table.duplicated([*content, "role"], keep=False)
    )
    _refuse(table, twice, "is in one fit twice, as two files of equal content")


def _check_tests(table: pd.DataFrame) -> None:
    role, pooled = table["role"], table["pool"] != ""
    tested = ~role.isin([TRAIN, VALIDATION])
    _refuse(table, tested & (table["target"] == DEPLOY), "is tested on in the deployed fit, which has no test")
    learnt = table.loc[role == TRAIN, [*_FIT, "domain"]].drop_duplicates().assign(learnt=True)
    source = table.merge(learnt, on=[*_FIT, "domain"], how="left")["learnt"].notna()
    held_out = table["domain"] == table["target"]
    beside = (table["target"] == IN_DISTRIBUTION) & source  # tested in the source domains themselves
    right = (
        (role.isin([TEST_ID, TEST_UNKNOWN_ID]) & source)
        | ((role == TEST_SHIFTED) & held_out)
        | ((role == TEST_UNKNOWN) & (held_out | pooled | beside))
    )
    _refuse(table, tested & ~right, "is tested on in a role that is not its domain's")
    where = table["domain"].where(~pooled, "\0" + table["pool"])
    listed = (table["part"] == GIVEN_TEST).groupby(where).transform("any")
    for_test = table["part"].isin([FREE, GIVEN_TEST])
    _refuse(table, tested & ~for_test & (source | listed), "was given for training or validation and is tested on")


def _check_open_sets(table: pd.DataFrame, left_out: Collection[tuple[str, str]]) -> None:
    foreign = table["label"] < 0
    wrong = table["role"].isin([TEST_UNKNOWN, TEST_UNKNOWN_ID]) != foreign
    _refuse(table, wrong, "has a role that does not fit its label")
    expected = table["pool"].where(table["pool"] != "", UNKNOWN_CLASSES).where(foreign, "")
    _refuse(table, table["open_set"] != expected, "is counted to another open set than its own")
    for pool, name in left_out:
        meant = (table["pool"] == pool) & (table["class"] == name)
        _refuse(table, meant, "is of a pool's class that means a known class")


def _check_labels(table: pd.DataFrame) -> None:
    """A label is the place among the classes that the fit trains on, in the order of their names."""
    learnt = table.loc[table["role"] == TRAIN, [*_FIT, "class"]].drop_duplicates().sort_values([*_FIT, "class"])
    learnt["expected"] = learnt.groupby(_FIT).cumcount()
    expected = table.merge(learnt, on=[*_FIT, "class"], how="left")["expected"]
    inside = table["pool"] == ""
    _refuse(table, inside & (table["label"] < 0) & expected.notna(), "is of a class that its fit trains on and counts "
            "as unknown")  # fmt: skip
    _refuse(table, (table["label"] >= 0) & (table["label"] != expected), "carries another label than its class has")


def _refuse(table: pd.DataFrame, bad: pd.Series, problem: str) -> None:
    if bad.any():
        row = table.loc[bad].iloc[0]
        raise DataError(f"{row['path']}: {problem} (target {row['target']}, seed {row['seed']}; {int(bad.sum())} rows)")
