from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from pipeline.data.leakage import check_splits
from pipeline.data.protocols import make_splits
from pipeline.errors import DataError
from pipeline.params import Split


@pytest.fixture
def made(rows: Callable[..., pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    manifest = rows([(d, c, 6) for d in ("ink", "neon") for c in ("cat", "dog", "owl")])
    table = make_splits(manifest, ["cat", "dog"], Split(seeds=(1,), shots=2, validation=1))
    return table, manifest


def of(table: pd.DataFrame, target: str, role: str) -> int:
    """Row number of the first image with this role."""
    return int(table.index[(table["target"] == target) & (table["role"] == role)][0])


def train_on_held_out(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    row = of(table, "ink", "test_shifted")
    table.loc[row, "role"] = "train"
    return table.at[row, "path"]


def validate_on_held_out(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    row = of(table, "ink", "test_shifted")
    table.loc[row, "role"] = "validation"
    return table.at[row, "path"]


def train_on_unknown(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    row = of(table, "ink", "test_unknown_id")
    table.loc[row, "role"] = "train"
    return table.at[row, "path"]


def path_twice(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    table.loc[of(table, "ink", "test_id"), "path"] = path = table.at[of(table, "ink", "train"), "path"]
    return path


def content_twice(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    train, test = (table.at[of(table, "ink", role), "path"] for role in ("train", "test_shifted"))
    content = manifest.set_index("path")["sha256"]
    manifest.loc[manifest["path"] == test, "sha256"] = content[train]
    return min(train, test)


def unknown_path(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    table.loc[of(table, "ink", "train"), "path"] = "neon/cat/999.png"
    return "neon/cat/999.png"


def in_source_as_shifted(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    row = of(table, "ink", "test_id")
    table.loc[row, "role"] = "test_shifted"
    return table.at[row, "path"]


def deployed_as_test(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    row = of(table, "*", "train")
    table.loc[row, "role"] = "test_id"
    return table.at[row, "path"]


def wrong_label(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    row = of(table, "ink", "train")
    table.loc[row, "label"] = 1 - table.at[row, "label"]
    return table.at[row, "path"]


def unknown_with_a_label(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    row = of(table, "ink", "test_unknown")
    table.loc[row, "label"] = 0
    return table.at[row, "path"]


def another_class(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    row = of(table, "ink", "test_id")
    table.loc[row, "class"] = "dog"
    return table.at[row, "path"]


def unknown_of_a_source_as_of_the_held_out(table: pd.DataFrame, manifest: pd.DataFrame) -> str:
    row = of(table, "ink", "test_unknown_id")
    table.loc[row, "role"] = "test_unknown"
    return table.at[row, "path"]


FAULTS = [
    (train_on_held_out, "is in the held-out domain"),
    (validate_on_held_out, "is in the held-out domain"),
    (train_on_unknown, "has an unknown class"),
    (path_twice, "has two roles in one fit"),
    (content_twice, "as two files of equal content"),
    (unknown_path, "is not in the manifest"),
    (in_source_as_shifted, "has a test role that does not fit its domain"),
    (deployed_as_test, "which has no test"),
    (wrong_label, "has a label that is not its class's"),
    (unknown_with_a_label, "has a role that does not fit its label"),
    (another_class, "has another class than in the manifest"),
    (unknown_of_a_source_as_of_the_held_out, "has a test role that does not fit its domain"),
]


def test_a_sound_table_passes(made: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    check_splits(*made)


@pytest.mark.parametrize(("plant", "message"), FAULTS, ids=[plant.__name__ for plant, _ in FAULTS])
def test_planted_leak_is_named(
    made: tuple[pd.DataFrame, pd.DataFrame], plant: Callable[[pd.DataFrame, pd.DataFrame], str], message: str
) -> None:
    table, manifest = made
    path = plant(table, manifest)
    with pytest.raises(DataError, match=message) as caught:
        check_splits(table, manifest)
    assert str(caught.value).startswith(f"{path}: ")
