"""Pools of unknown images in the splits: who is tested on them, and that none of their images is learnt from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.data.classes import known_classes, overlapping_pools, without
from pipeline.data.leakage import check_splits
from pipeline.data.listing import list_images
from pipeline.data.protocols import make_splits
from pipeline.errors import DataError
from pipeline.params import Split
from pipeline.tables import DEPLOY

Rows = Callable[..., pd.DataFrame]
DOMAINS = [(domain, name, 6) for domain in ("ink", "neon") for name in ("cat", "dog", "owl")]
POOLS = [
    *(("open_sets/textures", "banded", 2), ("open_sets/textures", "dotted", 3)),
    *(("open_sets/things", "chair", 2), ("open_sets/things", "Dogs", 4)),
]
SPLIT = Split(seeds=(1, 2), shots=2, validation=1)


@pytest.fixture
def made(rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Splits, the manifest, and the pools' classes that mean a known class."""
    manifest = rows([*DOMAINS, *POOLS])
    overlaps = overlapping_pools(manifest, ["cat", "dog"], (), {})
    return make_splits(without(manifest, overlaps), ["cat", "dog"], SPLIT), manifest, overlaps


def test_each_pool_is_an_open_set_of_every_fit_that_is_tested(made: tuple[pd.DataFrame, ...]) -> None:
    table, manifest, overlaps = made
    assert overlaps[["pool", "class"]].to_numpy().tolist() == [["things", "Dogs"]]
    pooled = table[table["path"].str.startswith("open_sets/")]
    assert set(pooled["role"]) == {"test_unknown"}
    assert set(pooled["label"]) == {-1}
    counts = pooled.groupby(["target", "seed", "open_set", "class"]).size()
    # textures: 2 banded and 3 dotted; things: 2 chairs, its Dogs mean a known class
    expected = {("textures", "banded"): 2, ("textures", "dotted"): 3, ("things", "chair"): 2}
    assert dict(counts) == {
        (target, seed, *where): count
        for target in ("ink", "neon")
        for seed in (1, 2)
        for where, count in expected.items()
    }
    assert DEPLOY not in set(pooled["target"])
    check_splits(table, manifest, unknown=["owl"], left_out=[("things", "Dogs")])


def test_unknown_classes_of_domains_are_an_open_set_of_their_own(made: tuple[pd.DataFrame, ...]) -> None:
    table = made[0]
    owls = table[(table["class"] == "owl") & (table["target"] == "ink") & (table["seed"] == 1)]
    assert set(owls["open_set"]) == {"classes"}
    # 6 of the held-out domain, beside test_shifted; 6 of the source domain, beside test_id
    assert owls.groupby("role").size().to_dict() == {"test_unknown": 6, "test_unknown_id": 6}
    assert set(table.loc[table["label"] >= 0, "open_set"]) == {""}


def test_a_data_set_may_have_pools_alone(rows: Rows) -> None:
    manifest = rows([*DOMAINS, *POOLS[:2]])
    table = make_splits(manifest, known_classes(manifest, []), SPLIT)
    assert set(table.loc[table["label"] < 0, "open_set"]) == {"textures"}
    check_splits(table, manifest)


def test_a_pool_given_in_parts_is_tested_on_its_test_part(rows: Rows) -> None:
    manifest = rows([*DOMAINS, ("open_sets/textures", "banded:train", 5), ("open_sets/textures", "banded:test", 2)])
    table = make_splits(manifest, ["cat", "dog"], SPLIT)
    paths = set(table.loc[table["open_set"] == "textures", "path"])
    assert paths == {"open_sets/textures/banded/test000.png", "open_sets/textures/banded/test001.png"}
    table.loc[table.index[table["open_set"] == "textures"][0], "path"] = "open_sets/textures/banded/train000.png"
    with pytest.raises(
        DataError, match=r"train000\.png: is used for testing, but was given for training or validation"
    ):
        check_splits(table, manifest)


def row_of(table: pd.DataFrame, **columns: object) -> int:
    chosen = pd.concat([table[name] == value for name, value in columns.items()], axis=1).all(axis=1)
    return int(table.index[chosen][0])


def test_a_pool_image_that_trains_is_named(made: tuple[pd.DataFrame, ...]) -> None:
    table, manifest, _ = made
    row = row_of(table, target="ink", open_set="textures")
    for role in ("train", "validation"):
        table.loc[row, "role"] = role
        with pytest.raises(
            DataError, match=r"^open_sets/textures/banded/000\.png: is in a pool but used for training or"
        ):
            check_splits(table, manifest)


def test_a_pools_class_that_means_a_known_one_is_named(rows: Rows) -> None:
    manifest = rows([*DOMAINS, *POOLS])
    table = make_splits(manifest, ["cat", "dog"], SPLIT)
    with pytest.raises(DataError, match=r"^open_sets/things/Dogs/000\.png: is in a pool, but its class means a known"):
        check_splits(table, manifest, left_out=[("things", "Dogs")])


def test_an_image_in_a_wrong_open_set_is_named(made: tuple[pd.DataFrame, ...]) -> None:
    table, manifest, _ = made
    row = row_of(table, target="ink", open_set="textures")
    table.loc[row, "open_set"] = "classes"
    with pytest.raises(DataError, match=r"^open_sets/textures/banded/000\.png: is assigned to the wrong open set"):
        check_splits(table, manifest)


@pytest.mark.parametrize("role", ["train", "test_shifted", "test_unknown"])
def test_a_pool_image_that_is_also_in_a_domain_is_named(made: tuple[pd.DataFrame, ...], role: str) -> None:
    table, manifest, _ = made
    path = table.loc[row_of(table, target="ink", role=role), "path"]
    content = manifest.loc[manifest["path"] == path, "sha256"].item()
    manifest.loc[manifest["path"] == "open_sets/things/chair/001.png", "sha256"] = content
    with pytest.raises(DataError, match="as two files of equal content"):
        check_splits(table, manifest)


def test_equal_images_in_two_pools_are_no_leak(made: tuple[pd.DataFrame, ...]) -> None:
    table, manifest, _ = made
    content = manifest.loc[manifest["path"] == "open_sets/textures/banded/000.png", "sha256"].item()
    manifest.loc[manifest["path"] == "open_sets/things/chair/001.png", "sha256"] = content
    check_splits(table, manifest)


@pytest.mark.parametrize("name", ["classes", "test_id"])
def test_a_pool_cannot_have_a_name_that_is_taken(tree: Path, name: str) -> None:
    folder = tree / "open_sets" / name / "banded"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=f"a pool cannot be called '{name}'"):
        list_images(tree)
