"""Faults planted in small folders of images, each of which ingest, the gate or the split names before any encoding."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gated_set import again, any_of, check, copy, picture, write_set
from opening import open_with
from PIL import Image

from pipeline.data.manifest import build_manifest
from pipeline.errors import DataError
from pipeline.params import Data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_set(tmp_path / "set", 0)
    return tmp_path / "set"


def cut(path: Path) -> None:
    picture(np.random.default_rng(9)).save(path)
    path.write_bytes(path.read_bytes()[:-150])


def blank(path: Path, mode: str, *size: int) -> None:
    Image.new(mode, size).save(path)


def parts(root: Path, *lines: str) -> None:
    (root / "parts.csv").write_text("\n".join(["path,part", *lines]) + "\n")


def raw_name(folder: Path) -> None:
    os.close(os.open(bytes(folder) + b"/\xff.png", os.O_CREAT))


def called(folder: Path, name: str) -> None:
    for domain in folder.iterdir():
        if (domain / "dog").is_dir():
            (domain / "dog").rename(domain / name)


CAT, DOG = "ink/cat", "ink/dog"
REFUSED_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda r: cut(r / CAT / "x.jpg"), r"ink/cat/x\.jpg: damaged image"),
    "text called JPEG": (lambda r: (r / CAT / "x.jpg").write_text("a cat"), r"ink/cat/x\.jpg: not an image"),
    "icon called PNG": (
        lambda r: picture(np.random.default_rng(9)).save(r / CAT / "x.png", "ICO"),
        r"cat/x\.png: not an",
    ),
    "wrong suffix": (lambda r: (r / CAT / "labels.csv").write_text("a,b"), r"ink/cat/labels\.csv: not an image file"),
    "zero bytes": (lambda r: (r / CAT / "x.png").touch(), r"ink/cat/x\.png: not an image"),
    "bomb": (lambda r: blank(r / CAT / "x.png", "1", 20_000, 20_000), r"ink/cat/x\.png: .*more than .*100000"),
    "too large": (lambda r: blank(r / CAT / "x.png", "RGB", 400, 300), r"ink/cat/x\.png: 400 x 300 pixels, more than"),
    "too small": (lambda r: blank(r / CAT / "x.png", "RGB", 15, 40), r"ink/cat/x\.png: 15 x 40 pixels, less than"),
    "strip": (lambda r: blank(r / CAT / "x.png", "RGB", 16, 2000), r"ink/cat/x\.png: 16 x 2000 pixels, a strip"),
    "floats": (lambda r: blank(r / CAT / "x.tif", "F", 20, 20), r"ink/cat/x\.tif: .*floating-point"),
    "link out": (lambda r: (r / CAT / "x.png").symlink_to("/etc/hostname"), r"ink/cat/x\.png: a link that leaves set"),
    "name of bytes": (lambda r: raw_name(r / CAT), r"ink/cat/\\xff\.png: the name is not UTF-8"),
}
"""Files that ingest refuses, each in one class; data.on_bad_image: skip goes on without them."""


@pytest.mark.parametrize("kind", REFUSED_FILES)
def test_refused_file_is_named(root: Path, kind: str) -> None:
    plant, message = REFUSED_FILES[kind]
    plant(root)
    with pytest.raises(DataError, match=message):
        build_manifest(Data(root=str(root), min_side=16, max_pixels=100_000, workers=2))


def test_refused_files_are_passed_over_where_params_say_so(root: Path, tmp_path: Path) -> None:
    planted = ["truncated", "wrong suffix", "link out", "name of bytes"]
    for kind in planted:
        plant, _ = REFUSED_FILES[kind]
        plant(root)
        for file in (root / CAT).glob("x.*"):
            file.rename(file.with_name(f"{kind}{file.suffix}"))
    outcome = check(root, tmp_path / "docs", on_bad_image="skip")
    assert not outcome.stops
    assert outcome.said.startswith("refused: 4 files, refused, not used: ink/cat/")
    for name in (
        "truncated.jpg: damaged",
        "labels.csv: not an image file",
        "link out.png: a link",
        r"\xff.png: the name",
    ):
        assert name in outcome.said
    assert len(outcome.paths) == 40


PLANTED: dict[str, tuple[Callable[[Path], object], dict[str, Any], bool, str]] = {
    "folder link out": (lambda r: (r / "ink/fox").symlink_to("/etc"), {}, True, r"ink/fox: a link that leaves set"),
    "empty class": (lambda r: (r / "ink/fox").mkdir(), {}, True, r"ink/fox: a class folder without images"),
    "image at the wrong depth": (
        lambda r: blank(r / "ink/x.png", "L", 20, 20),
        {},
        True,
        r"ink/x\.png: a file at the wrong",
    ),
    "path with .. in parts.csv": (
        lambda r: parts(r, "ink/../../x.png,train"),
        {},
        True,
        r"line 2.*ink/\.\./\.\./x\.png",
    ),
    "absolute path in parts.csv": (lambda r: parts(r, "/etc/hostname,train"), {}, True, "line 2.*/etc/hostname"),
    "part of a missing image": (lambda r: parts(r, "ink/cat/99.png,test"), {}, True, r"line 2.*ink/cat/99\.png"),
    "equal files in a class": (
        lambda r: copy(r, CAT, f"{CAT}/x.png"),
        {},
        True,
        r"duplicates_within_class: 2 images.*ink/cat/0\.\w+ = ink/cat/x\.png",
    ),
    "equal files across classes": (
        lambda r: copy(r, CAT, f"{DOG}/x.png"),
        {},
        True,
        r"duplicates_across_classes: 2 images.*ink/cat/0\.\w+ = ink/dog/x\.png",
    ),
    "equal files across domains": (
        lambda r: copy(r, CAT, "chalk/cat/x.png"),
        {},
        True,
        r"duplicates_across_domains: 2 images.*chalk/cat/x\.png = ink/cat/0\.",
    ),
    "equal files in a pool and a class": (
        lambda r: copy(r, CAT, "open_sets/dtd/banded/x.png"),
        {},
        True,
        r"duplicates_across_classes: 2 images.*ink/cat/0\.\w+ = open_sets/dtd/banded/x\.png",
    ),
    "look alike across classes": (
        lambda r: again(r, CAT, f"{DOG}/x.jpg"),
        {},
        False,
        r"near_duplicates_across_classes: 2 images.*ink/cat/0\.\w+ ~ ink/dog/x\.jpg",
    ),
    "look alike across classes, fatal": (
        lambda r: again(r, CAT, f"{DOG}/x.jpg"),
        {"fatal": ("near_duplicates_across_classes",)},
        True,
        r"near_duplicates_across_classes: 2 images.*ink/cat/0\.\w+ ~ ink/dog/x\.jpg",
    ),
    "look alike across domains": (
        lambda r: again(r, CAT, "chalk/cat/x.jpg"),
        {},
        False,
        r"near_duplicates_across_domains: 2 images.*chalk/cat/x\.jpg ~ ink/cat/0\.",
    ),
    "look alike in a pool and a class": (
        lambda r: again(r, CAT, "open_sets/dtd/banded/x.jpg"),
        {},
        False,
        r"near_duplicates_across_classes: 2 images.*ink/cat/0\.\w+ ~ open_sets/dtd/banded/x\.jpg",
    ),
    "look alike in training and test": (
        lambda r: again(r, CAT, f"{CAT}/x{{}}.jpg", 9),
        {},
        False,
        r"near_duplicates_across_splits: .*ink/cat/x\d\.jpg \((train|test_id|validation)\) ~ ink/cat/x\d\.jpg",
    ),
    "look alike in training and test, fatal": (
        lambda r: again(r, CAT, f"{CAT}/x{{}}.jpg", 9),
        {"fatal": ("near_duplicates_across_splits",)},
        True,
        r"near_duplicates_across_splits: .*ink/cat/x\d\.jpg",
    ),
    "class with too few images": (
        lambda r: [path.unlink() for path in sorted((r / CAT).iterdir())[2:]],
        {},
        True,
        r"enough_images: 1 group.*ink/cat has 2 of 3",
    ),
    "no unknown image in a domain": (
        lambda r: shutil.rmtree(r / "ink/owl"),
        {},
        True,
        r"enough_images: 1 group.*ink/\(unknown classes\) has 0 of 1",
    ),
    "mixed-case class folders": (
        lambda r: (r / DOG).rename(r / "ink/Dog"),
        {},
        True,
        "class_names_distinct: 2 classes.*Dog and dog",
    ),
    "classes of one name in prompts": (
        lambda r: None,
        {"class_names": {"cat": "pet", "dog": "Pet"}},
        True,
        "class_names_distinct: 2 classes.*cat and dog",
    ),
    "unknown class by synonym": (
        lambda r: called(r, "birds"),
        {},
        True,
        "open_set_disjoint: 1 class.*owl means birds",
    ),
    "unknown class by a synonym of one's own": (
        lambda r: None,
        {"synonyms": (("Cat", "owls"),)},
        True,
        "open_set_disjoint: 1 class.*owl means cat",
    ),
    "pool by synonym": (
        lambda r: (r / "open_sets/dtd/banded").rename(r / "open_sets/dtd/dalmatian"),
        {"open_set_overlap": "fail"},
        True,
        r"pools_disjoint: 1 pool class.*open_sets/dtd/dalmatian means dog",
    ),
    "pool by synonym, removed": (
        lambda r: (r / "open_sets/dtd/banded").rename(r / "open_sets/dtd/kittens"),
        {},
        False,
        r"1 pool class left out, same meaning as a known class: dtd/kittens \(means cat\)",
    ),
    "prompt beyond the context": (
        lambda r: None,
        {"class_names": {"dog": "very " * 30 + "good dog"}},
        True,
        r"class_names_fit: 1 class.*dog \(\d\d tokens\)",
    ),
    "name that is no word": (
        lambda r: called(r, "n02084071"),
        {},
        False,
        r"class_names_known: 1 class.*n02084071 \(9 tokens\)",
    ),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_fault_is_named(root: Path, tmp_path: Path, kind: str) -> None:
    plant, changes, stops, message = PLANTED[kind]
    plant(root)
    outcome = check(root, tmp_path / "docs", **changes)
    assert outcome.stops == stops, outcome.said
    assert re.search(message, outcome.said), outcome.said


def test_unreadable_file_is_named() -> None:
    user = os.geteuid() or 65534  # root may read everything
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "set"
        write_set(root, 0)
        locked = any_of(root, CAT)
        build_manifest(Data(root=str(root), min_side=16, max_pixels=100_000, workers=2))
        locked.chmod(0)
        here = os.geteuid()
        os.seteuid(user)
        try:
            with pytest.raises(DataError, match=f"ink/cat/{locked.name}: cannot be read: Permission denied"):
                build_manifest(Data(root=str(root), min_side=16, max_pixels=100_000, workers=2))
        finally:
            os.seteuid(here)


@pytest.fixture
def listed(root: Path) -> Iterator[Callable[[str, str], Path]]:
    """Writes a file beside the images."""

    def write(name: str, text: str) -> Path:
        (root / name).write_text(text)
        return root / name

    return write


LISTINGS: dict[str, tuple[str, str, str]] = {
    "..": ("l.csv", "path,class\n../../secret.png,cat\n", r"line 2.*\.\./\.\./secret\.png.*'\.\.'"),
    "absolute": ("l.csv", "path,class\n/etc/hostname,cat\n", r"line 2.*/etc/hostname"),
    "missing": ("l.csv", "path,class\nink/cat/none.png,cat\n", r"line 2.*ink/cat/none\.png"),
    "..in a split file": (
        "s.json",
        json.dumps({"train": [["../../secret.png", 0, "cat"]], "val": [], "test": []}),
        r"train\[0\].*secret\.png",
    ),
}


@pytest.mark.parametrize("kind", LISTINGS)
def test_path_that_leaves_a_listing_is_named(listed: Callable[[str, str], Path], kind: str) -> None:
    name, text, message = LISTINGS[kind]
    with pytest.raises(DataError, match=message):
        list(open_with(listed(name, text), name="mine", domain="ink"))


def test_labels_from_one_are_told_and_not_shifted(root: Path, listed: Callable[[str, str], Path]) -> None:
    cat, dog = any_of(root, CAT).name, any_of(root, DOG).name
    items = {"train": [[f"cat/{cat}", 1, "cat"], [f"dog/{dog}", 2, "dog"]], "val": [], "test": []}
    source = open_with(listed("ink/split.json", json.dumps(items)), name="mine")
    assert any("counted from 1 rather than 0" in note for note in source.notes)
    assert [entry.target.split("/")[-2] for entry in source] == ["cat", "dog"]
    items["train"][1][1] = 1
    with pytest.raises(DataError, match=r"label 1 is 'cat' .*and 'dog'"):
        list(open_with(listed("ink/split.json", json.dumps(items)), name="mine"))
