"""groups.csv, and splits that keep its groups together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pipeline.data.leakage import check_splits
from pipeline.data.manifest import build_manifest
from pipeline.data.protocols import make_splits
from pipeline.errors import DataError
from pipeline.params import Data, Split

Rows = Callable[..., pd.DataFrame]
KNOWN = ["cat", "dog"]


def groups(root: Path) -> dict[str, str]:
    manifest = build_manifest(Data(root=str(root), min_side=16, max_pixels=10_000, workers=2)).manifest
    return {path: group for path, group in zip(manifest["path"], manifest["group"], strict=True) if group}


def test_named_images_get_their_group_and_others_are_alone(tree: Path) -> None:
    assert groups(tree) == {}
    lines = ["path,group", "a/cat/0.png,patient 7", "b/dog/1.png,patient 7", 'a/dog/0.png,"Müller, ""M"""']
    (tree / "groups.csv").write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    found = {"a/cat/0.png": "patient 7", "b/dog/1.png": "patient 7", "a/dog/0.png": 'Müller, "M"'}
    assert groups(tree) == found
    (tree / "parts.csv").write_text("path,part\na/cat/0.png,test\n")
    assert groups(tree) == found


FAULTS = {
    "unknown path": ("path,group\na/cat/7.png,g\n", r"line 2: 'a/cat/7\.png' is no image below"),
    "no group": ("path,group\na/cat/0.png,\n", r"line 2: no group; name one or remove the line"),
    "twice": ("path,group\na/cat/0.png,g\na/cat/0.png,h\n", r"line 3: 'a/cat/0\.png' is listed in an earlier line"),
    "out of the folder": ("path,group\n../x.png,g\n", r"line 2: '\.\./x\.png' leaves the folder"),
    "too long": (f"path,group\na/cat/0.png,{'g' * 201}\n", "line 2: the group 'g{20}'... has 201 characters; expected"),
    "control character": ("path,group\na/cat/0.png,g\x07h\n", r"line 2: the group 'g\\\\x07h' holds a control"),
    "space": ("path,group\na/cat/0.png, g\n", "line 2: the group ' g' begins or ends with a space"),
    "other columns": ("path,part\na/cat/0.png,val\n", r"line 1: expected the columns path,group, found path,part"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_with_file_and_line(tree: Path, fault: str) -> None:
    content, message = FAULTS[fault]
    (tree / "groups.csv").write_text(content)
    with pytest.raises(DataError, match=r"images/groups\.csv: " + message) as caught:
        groups(tree)
    assert str(caught.value).isprintable()


def test_a_link_that_leaves_the_folder_is_not_read(tree: Path) -> None:
    (tree.parent / "outside.csv").write_text("path,group\n")
    (tree / "groups.csv").symlink_to(tree.parent / "outside.csv")
    with pytest.raises(DataError, match=r"groups\.csv: expected a file inside"):
        groups(tree)


# Splits.


def grouped(manifest: pd.DataFrame, size: int) -> pd.DataFrame:
    """Groups of `size` images of one domain and class that follow one another."""
    number = manifest.groupby(["domain", "pool", "class"]).cumcount() // size
    names = manifest["domain"] + manifest["pool"] + "-" + manifest["class"] + "-" + number.astype(str)
    return manifest.assign(group=names)


def split(manifest: pd.DataFrame, **changed: object) -> pd.DataFrame:
    chosen = {"seeds": [1, 2], "shots": 4, "validation": 3} | changed
    return make_splits(manifest, KNOWN, Split.model_validate(chosen))


def counts(table: pd.DataFrame, target: str) -> dict[str, int]:
    return {
        str(r): int(n)
        for r, n in table[(table["target"] == target) & (table["seed"] == 1)]["role"].value_counts().items()
    }


def test_few_groups_are_used_up_and_what_is_left_of_them_serves_nothing(rows: Rows) -> None:
    manifest = grouped(rows([(domain, name, 20) for domain in ("ink", "neon") for name in KNOWN]), 5)
    table = split(manifest)
    check_splits(table, manifest)
    # Of each class, 20 images in 4 groups of 5: one group for 3 that validate, one for 4 that train, two for testing.
    # Of the groups that are begun, 2 + 1 images are left out.
    assert counts(table, "ink") == {"validation": 6, "train": 8, "test_id": 20, "test_shifted": 40}
    fit = table[(table["target"] == "ink") & (table["seed"] == 1)].merge(manifest[["path", "group"]], on="path")
    assert fit.groupby(["class", "role"])["group"].nunique()["cat"].to_dict() == {
        "test_id": 2,
        "test_shifted": 4,
        "train": 1,
        "validation": 1,
    }


def test_a_group_of_several_classes_and_domains_serves_one_purpose(rows: Rows) -> None:
    manifest = rows([(domain, name, 12) for domain in ("ink", "neon") for name in (*KNOWN, "owl")])
    manifest["group"] = "patient " + (manifest.index % 12 // 2).astype(str)  # six, each with two images of every cell
    table = split(manifest, seeds=[1], shots=4, validation=2)
    check_splits(table, manifest, unknown=["owl"])
    # Validation takes one patient, training two: three are left to test, with two images of each class and domain.
    expected = {"validation": 4, "train": 8, "test_id": 12, "test_unknown_id": 6, "test_shifted": 12, "test_unknown": 6}
    assert counts(table, "ink") == expected
    assert counts(table, "neon") == expected


def test_images_that_are_alone_are_chosen_as_without_groups(rows: Rows) -> None:
    plain = rows([(domain, name, 12) for domain in ("ink", "neon") for name in KNOWN])
    alone = plain.assign(group=["only " + path for path in plain["path"]])
    pd.testing.assert_series_equal(split(plain)["role"].value_counts(), split(alone)["role"].value_counts())
    pool = pd.concat([plain, rows([("open_sets/x", "owl", 3)]).assign(group="video")], ignore_index=True)
    table = split(pool)
    assert table[table["open_set"] == ""].reset_index(drop=True).equals(split(plain))


def test_too_few_images_name_what_groups_left_out(rows: Rows) -> None:
    manifest = rows([(domain, name, 20) for domain in ("ink", "neon") for name in KNOWN])
    video = manifest.assign(group=manifest["domain"] + manifest["class"])
    with pytest.raises(DataError, match=r"ink/cat: 20 images, 17 of them left out since their groups validate, but 3 "):
        split(video)
    with pytest.raises(
        DataError, match=r"cat: 0 images left in ink, neon after validation, and 34 in groups that vali"
    ):
        split(video, shots_per="class")
    patients = manifest.assign(group=["p" + path[-5] for path in manifest["path"]])  # ten in every domain and class
    assert counts(split(patients, shots=4, validation=4), "ink")["test_shifted"] == 24  # of 40: four of ten fitted
    with pytest.raises(
        DataError, match=r"ink: no image of a known class is left to test on: their groups train or val"
    ):
        split(patients, shots=16, validation=4)


def test_a_group_with_two_purposes_is_named(rows: Rows) -> None:
    manifest = rows([(domain, name, 12) for domain in ("ink", "neon") for name in KNOWN])
    table = split(manifest, seeds=[1])
    fit = table[table["target"] == "ink"]
    for first, second in (("train", "test_id"), ("validation", "train"), ("train", "test_shifted")):
        pair = [fit.loc[fit["role"] == role, "path"].iloc[0] for role in (first, second)]
        marked = manifest.assign(group=["g" if path in pair else "" for path in manifest["path"]])
        with pytest.raises(
            DataError, match=r"in a group that its fit uses for more than one of .* \(target (ink|neon|\*)"
        ):
            check_splits(table, marked)
    tests = fit.loc[fit["role"].isin(["test_id", "test_shifted"]), "path"].tolist()
    only = table[table["target"] == "ink"]
    check_splits(only, manifest.assign(group=["g" if path in tests else "" for path in manifest["path"]]))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_no_fit_has_a_group_for_two_purposes(rows: Rows, data: st.DataObject) -> None:
    manifest = rows(
        [(domain, name, 14) for domain in ("ink", "neon", "wood") for name in (*KNOWN, "owl")]
        + [("open_sets/x", "elk", 6)]
    )
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    alone = random.random(len(manifest)) < data.draw(st.sampled_from([0.2, 0.6, 0.9]))
    numbers = random.integers(0, data.draw(st.sampled_from([8, 20, 60])), len(manifest))
    manifest["group"] = np.where(alone, "", [f"g{number}" for number in numbers])
    manifest["part"] = random.choice(["", "train", "val", "test"], len(manifest), p=[0.7, 0.1, 0.1, 0.1])
    changed = {
        "shots": data.draw(st.integers(1, 3)),
        "validation": data.draw(st.integers(1, 2)),
        "shots_per": data.draw(st.sampled_from(["class", "class_and_domain"])),
        "sources": data.draw(st.sampled_from([[], ["ink"], ["ink", "neon"]])),
    }
    try:
        table = split(manifest, **changed)
    except DataError:
        assume(False)
    joined = table.merge(manifest[["path", "group"]], on="path")
    joined = joined[joined["group"] != ""]
    purpose = joined["role"].str.partition("_")[0]  # train, validation or test
    assert (purpose.groupby([joined["target"], joined["seed"], joined["group"]]).nunique() == 1).all()
    check_splits(table, manifest, unknown=["owl"], sources=changed["sources"])
