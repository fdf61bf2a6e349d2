"""Folders called train, val and test are parts of the data, never domains, unless a person says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from opening import open_with

from pipeline.data.parts import plain_part
from pipeline.errors import DataError, ParamsError
from pipeline.sources import report

Make = Callable[..., Path]
CLASSES = ("cat", "dog", "fox")


def split(*parts: str, under: str = "") -> list[str]:
    return [f"{under}{part}/{class_}/1.png" for part in parts for class_ in CLASSES]


def taken(root: Path, **options: object) -> dict[str, str]:
    return {entry.target: entry.part for entry in open_with(root, name="pets", **options)}


def test_the_commonest_layout_is_one_domain_with_parts(make: Make) -> None:
    root = make(split("train", "val", "test"))
    source = open_with(root, name="pets")
    assert {entry.target: entry.part for entry in source} == {
        f"pets/{class_}/{part}-1.png": part for class_ in CLASSES for part in ("train", "val", "test")
    }
    assert report(source) == [
        f"{root}: class/image, taken as the domain 'pets'",
        "train, val and test are parts, not domains; files are named after them; --domains takes them as domains",
        "taken: 9 images, 1 domain (pets), 3 classes, parts: train 3, val 3, test 3",
    ]
    assert set(taken(root, domain="photo")) == {name.replace("pets/", "photo/") for name in taken(root)}


def test_domains_forces_the_other_reading(make: Make) -> None:
    root = make(split("train", "val", "test"))
    assert taken(root, domains=True) == dict.fromkeys(split("train", "val", "test"), "")
    with pytest.raises(ParamsError, match=r"--domains: .* is no folder"):
        open_with(root / "train/cat/1.png", domains=True, kind="listing")


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        *[(name, "train") for name in ("train", "Train", "TRAINING", "training_set")],
        *[(name, "val") for name in ("val", "valid", "Validation", "DEV", "crossval")],
        *[(name, "test") for name in ("test", "Testing", "test_set")],
    ],
)
def test_any_spelling_of_a_part(make: Make, folder: str, part: str) -> None:
    assert plain_part(folder) == part
    assert set(taken(make(split(folder))).values()) == {part}


@pytest.mark.parametrize("under", ["archive/", "archive/Data/", "a/b/c/d/"])
def test_one_level_deeper_says_where_and_takes_it(make: Make, under: str) -> None:
    root = make([*split("train", "test", under=under), "readme.md"])
    source = open_with(root, name="pets")
    assert {entry.target.split("/")[0] for entry in source} == {"pets"}
    assert report(source)[0] == f"{root}: class/image below {under}, taken as the domain 'pets'"
    assert report(source)[2:] == [
        "taken: 6 images, 1 domain (pets), 3 classes, parts: train 3, test 3",
        "left out, not images: 1: readme.md",
    ]
    plain = make([f"{under}photo/cat/1.png", f"{under}sketch/cat/1.png"], "plain")
    assert set(taken(plain)) == {"photo/cat/1.png", "sketch/cat/1.png"}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            ["photo/train/cat/1.png", "photo/test/cat/1.png", "sketch/train/cat/1.png"],
            {"photo/cat/train-1.png": "train", "photo/cat/test-1.png": "test", "sketch/cat/train-1.png": "train"},
        ),
        (
            ["train/photo/cat/1.png", "train/sketch/cat/1.png", "test/photo/cat/1.png"],
            {"photo/cat/train-1.png": "train", "sketch/cat/train-1.png": "train", "photo/cat/test-1.png": "test"},
        ),
        (["photo/cat/1.png", "test/photo/cat/1.png"], {"photo/cat/1.png": "", "photo/cat/test-1.png": "test"}),
        (["training_set/training_set/cat/1.png"], {"pets/cat/training_set-1.png": "train"}),
        (
            ["train/cat/1.png", "open_sets/dtd/knot/1.png"],
            {"pets/cat/train-1.png": "train", "open_sets/dtd/knot/1.png": ""},
        ),
        (["train/1.png", "car/1.png"], {"pets/train/1.png": "", "pets/car/1.png": ""}),  # a train is a vehicle
        (["train/train/1.png", "test/car/1.png"], {"pets/train/train-1.png": "train", "pets/car/test-1.png": "test"}),
    ],
)
def test_parts_beside_above_and_below_domains(make: Make, paths: list[str], expected: dict[str, str]) -> None:
    assert taken(make(paths)) == expected


def test_parts_of_an_open_set_are_one_pool(make: Make) -> None:
    root = make(["train/knot/1.png", "test/knot/1.png"])
    assert taken(root, open_set="dtd") == {
        "open_sets/dtd/knot/train-1.png": "",
        "open_sets/dtd/knot/test-1.png": "",
    }
    flat = make(["train/1.png", "test/1.png"], "flat")
    assert set(taken(flat, open_set="dtd")) == {"open_sets/dtd/dtd/train-1.png", "open_sets/dtd/dtd/test-1.png"}


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["photo/cat/1.png", "test/cat/1.png"], r"test has the name of a part, and folders beside do not .*--domains"),
        (
            ["train/1.png", "test/1.png"],
            r"train and test hold images without class folders; expected train/class/image",
        ),
        (["val/photo/cat/1.png", "val/val/cat/1.png"], "given: images at several depths, such as "),
        (["train/photo/test/cat/1.png"], r"is below train and test, which are both parts; .*--domains"),
    ],
)
def test_what_may_be_either_is_asked_and_never_guessed(make: Make, paths: list[str], named: str) -> None:
    with pytest.raises(DataError, match=named):
        taken(make(paths))


def test_a_set_that_cannot_be_trained_on_is_pointed_at(make: Make) -> None:
    source = open_with(make(split("test", "val")), name="pets")
    assert list(source)
    assert report(source)[-1].startswith("warning: every image is in the part val or test, so none can be trained on")


def test_a_data_set_whose_parts_are_in_its_file_keeps_its_domains(make: Make) -> None:
    root = make(["train/cat/1.png", "test/cat/1.png"])
    (root / "parts.csv").write_text("path,part\ntest/cat/1.png,val\n")
    assert taken(root) == {"train/cat/1.png": "", "test/cat/1.png": "val"}
