"""Checks that no test image leaks into training, made on the split table itself, whatever produced it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pipeline.data.choice import FREE, GIVEN_TEST, GIVEN_TRAIN, GIVEN_VALIDATION
from pipeline.errors import DataError
from pipeline.phrases import counted
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
        left_out: (pool, class) pairs that mean a known class and must not appear.
    Raises:
        DataError: an image is used for training or validation in its held-out domain, in a domain that may not train,
            in a pool, with a class that its fit does not know, or against its given part; appears twice in one fit (as
            itself, or as another file of equal content); has another purpose than others of its group; is tested in the
            wrong domain or open set; is not in the manifest, or has the wrong class or label. The error names a path.
    """
    columns = ["path", "domain", "class", "pool", "part", "group", "sha256"]
    table = splits.merge(manifest[columns], on="path", how="left", suffixes=("", "_manifest"))
    _refuse(table, table["sha256"].isna(), "is not in the manifest")
    _refuse(table, table["class"] != table["class_manifest"], "has another class than in the manifest")
    _refuse(table, ~table["role"].isin(ROLES), "has an unknown role")
    _check_training(table, unknown, sources)
    _check_repeats(table)
    _check_groups(table)
    _check_tests(table)
    _check_open_sets(table, left_out)
    _check_labels(table)


def _check_training(table: pd.DataFrame, unknown: Collection[str], sources: Collection[str]) -> None:
    training, validating = table["role"] == TRAIN, table["role"] == VALIDATION
    fitted = training | validating
    _refuse(table, fitted & (table["domain"] == table["target"]), "is in the held-out domain but used for "
            "training or validation")  # fmt: skip
    _refuse(table, fitted & (table["pool"] != ""), "is in a pool but used for training or validation")
    if sources:
        _refuse(
            table,
            fitted & ~table["domain"].isin(list(sources)),
            "is not in split.sources but used for training or validation",
        )
    _refuse(table, fitted & (table["label"] < 0), "has an unknown class but is used for training or validation")
    _refuse(
        table,
        fitted & table["class"].isin(list(unknown)),
        "has a class of data.unknown but is used for training or validation",
    )
    _refuse(
        table, training & ~table["part"].isin([FREE, GIVEN_TRAIN]), "is used for training, but was given another part"
    )
    given = table["part"].isin([FREE, GIVEN_TRAIN, GIVEN_VALIDATION])
    _refuse(table, validating & ~given, "is used for validation, but was given for test")


def _check_repeats(table: pd.DataFrame) -> None:
    _refuse(table, table.duplicated([*_FIT, "path"], keep=False), "has two roles in one fit")
    content = [*_FIT, "sha256"]
    # Two equal files in pools only count twice; one in a pool and one in a domain are a leak.
    repeats = table.duplicated(content, keep=False) & (
        (table["pool"] == "") | ~table.duplicated([*content, "role"], keep=False)
    )
    _refuse(table, repeats, "appears twice in one fit, as two files of equal content")


def _check_groups(table: pd.DataFrame) -> None:
    """In one fit, the images of a group train, validate or test."""
    grouped = table[table["group"] != ""]
    purpose = grouped["role"].where(grouped["role"].isin([TRAIN, VALIDATION]), "test")
    purposes = purpose.groupby([grouped[key] for key in (*_FIT, "group")]).transform("nunique")
    _refuse(grouped, purposes > 1, "is in a group that its fit uses for more than one of training, validation and test")


def _check_tests(table: pd.DataFrame) -> None:
    role, pooled = table["role"], table["pool"] != ""
    tested = ~role.isin([TRAIN, VALIDATION])
    _refuse(
        table, tested & (table["target"] == DEPLOY), "is used for testing in the deployed fit, which has no test set"
    )
    # a source domain of few shots per class may have validation images alone
    learnt = table.loc[~tested, [*_FIT, "domain"]].drop_duplicates().assign(learnt=True)
    source = table.merge(learnt, on=[*_FIT, "domain"], how="left")["learnt"].notna()
    held_out = table["domain"] == table["target"]
    in_distribution = (table["target"] == IN_DISTRIBUTION) & source  # tested in the source domains themselves
    allowed = (
        (role.isin([TEST_ID, TEST_UNKNOWN_ID]) & source)
        | ((role == TEST_SHIFTED) & held_out)
        | ((role == TEST_UNKNOWN) & (held_out | pooled | in_distribution))
    )
    _refuse(table, tested & ~allowed, "has a test role that does not fit its domain")
    where = table["domain"].where(~pooled, "\0" + table["pool"])
    listed = (table["part"] == GIVEN_TEST).groupby(where).transform("any")
    for_test = table["part"].isin([FREE, GIVEN_TEST])
    _refuse(
        table, tested & ~for_test & (source | listed), "is used for testing, but was given for training or validation"
    )


def _check_open_sets(table: pd.DataFrame, left_out: Collection[tuple[str, str]]) -> None:
    foreign = table["label"] < 0
    wrong = table["role"].isin([TEST_UNKNOWN, TEST_UNKNOWN_ID]) != foreign
    _refuse(table, wrong, "has a role that does not fit its label")
    expected = table["pool"].where(table["pool"] != "", UNKNOWN_CLASSES).where(foreign, "")
    _refuse(table, table["open_set"] != expected, "is assigned to the wrong open set")
    for pool, name in left_out:
        meant = (table["pool"] == pool) & (table["class"] == name)
        _refuse(table, meant, "is in a pool, but its class means a known class")


def _check_labels(table: pd.DataFrame) -> None:
    """A label is the position among the classes that the fit trains on, sorted by name."""
    learnt = table.loc[table["role"] == TRAIN, [*_FIT, "class"]].drop_duplicates().sort_values([*_FIT, "class"])
    learnt["expected"] = learnt.groupby(_FIT).cumcount()
    expected = table.merge(learnt, on=[*_FIT, "class"], how="left")["expected"]
    inside = table["pool"] == ""
    _refuse(table, inside & (table["label"] < 0) & expected.notna(), "counts as unknown, but its fit trains on "
            "its class")  # fmt: skip
    _refuse(table, (table["label"] >= 0) & (table["label"] != expected), "has a label that is not its class's")


def _refuse(table: pd.DataFrame, bad: pd.Series, problem: str) -> None:
    if bad.any():
        row = table.loc[bad].iloc[0]
        raise DataError(
            f"{row['path']}: {problem} (target {row['target']}, seed {row['seed']}; {counted(int(bad.sum()), 'row')})"
        )
