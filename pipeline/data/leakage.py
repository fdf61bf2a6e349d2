"""Checks on the split table itself that nothing leaks from test to training; how the table was made is not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.tables import DEPLOY, ROLES, TEST_SHIFTED, TEST_UNKNOWN, TRAIN, VALIDATION

if TYPE_CHECKING:
    import pandas as pd


def check_splits(splits: pd.DataFrame, manifest: pd.DataFrame) -> None:
    """Verify a split table.

    Args:
        splits: SPLITS table.
        manifest: MANIFEST table that it was made from.
    Raises:
        DataError: an image is trained or validated on in its held-out domain or with an unknown class, serves twice
            in one fit (itself, or as another file of equal content), is tested in the wrong domain, is unknown to
            the manifest, or carries another label than its class has. The error names a path.
    """
    table = splits.merge(manifest[["path", "domain", "class", "sha256"]], on="path", how="left")
    fitted = table["role"].isin([TRAIN, VALIDATION])
    shifted = table["role"].isin([TEST_SHIFTED, TEST_UNKNOWN])
    held_out = table["domain"] == table["target"]
    fit = ["target", "seed"]

    _refuse(table, table["sha256"].isna(), "is in no row of the manifest")
    _refuse(table, ~table["role"].isin(ROLES), "has an unknown role")
    _refuse(table, fitted & held_out, "lies in the held-out domain and is trained or validated on")
    _refuse(table, fitted & (table["label"] < 0), "is of an unknown class and is trained or validated on")
    _refuse(table, table.duplicated([*fit, "path"], keep=False), "has two roles in one fit")
    _refuse(table, table.duplicated([*fit, "sha256"], keep=False), "is in one fit twice, as two files of equal content")
    _refuse(table, ~fitted & (table["target"] == DEPLOY), "is tested on in the deployed fit, which has no test")
    _refuse(table, ~fitted & (shifted != held_out), "is tested on in a role that is not its domain's")
    _refuse(table, (table["role"] == TEST_UNKNOWN) != (table["label"] < 0), "has a role that does not fit its label")

    known = sorted(table.loc[table["label"] >= 0, "class"].unique())
    expected = table["class"].map({name: label for label, name in enumerate(known)}).fillna(-1)
    _refuse(table, table["label"] != expected, "carries another label than its class has")


def _refuse(table: pd.DataFrame, bad: pd.Series, problem: str) -> None:
    if bad.any():
        row = table.loc[bad].iloc[0]
        raise DataError(f"{row['path']}: {problem} (target {row['target']}, seed {row['seed']}; {int(bad.sum())} rows)")
