"""CoOp's JSON and the text files of PACS and DomainNet, and what is wrong with a bad one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opening import open_with

from pipeline.errors import DataError

Make = Callable[..., Path]


@pytest.fixture
def caltech(make: Make) -> Path:
    """CoOp's caltech-101/ with its split file beside 101_ObjectCategories/ (CoOp, DATASETS.md)."""
    images = [f"101_ObjectCategories/{name}/image_000{i}.jpg" for name in ("Faces", "ant") for i in (1, 2, 3)]
    return make([*images, "other/note.md"], "caltech-101")


def write(folder: Path, content: Any) -> Path:
    path = folder / "split_zhou_Caltech101.json"
    path.write_text(json.dumps(content))
    return path


GOOD = {
    "train": [["Faces/image_0001.jpg", 0, "face"], ["ant/image_0001.jpg", 1, "ant"]],
    "val": [["Faces/image_0002.jpg", 0, "face"]],
    "test": [["ant/image_0003.jpg", 1, "ant"]],
}


def test_a_coop_split_finds_its_images_and_keeps_its_parts(caltech: Path) -> None:
    source = open_with(write(caltech, GOOD), name="caltech101")
    assert source.kind == "split-file"
    assert [(e.target, e.part) for e in source] == [
        ("caltech101/face/image_0001.jpg", "train"),
        ("caltech101/ant/image_0001.jpg", "train"),
        ("caltech101/face/image_0002.jpg", "val"),
        ("caltech101/ant/image_0003.jpg", "test"),
    ]
    as_pool = open_with(write(caltech, GOOD), open_set="caltech101")
    assert {(e.target.split("/")[2], e.part) for e in as_pool} == {("face", ""), ("ant", "")}


@pytest.mark.parametrize(
    ("part", "item", "named"),
    [
        ("val", ["ant/image_0002.jpg", 0, "ant"], r"label 0 is 'face' in train\[0\] and 'ant' in val\[1\]"),
        ("val", ["ant/image_0002.jpg", 7, "ant"], r"'ant' has label 1 in train\[1\] and 7 in val\[1\]"),
        ("val", ["ant/image_0002.jpg", "one", "ant"], r"val\[1\]: expected \[path, label, class name\]"),
        ("val", ["ant/image_0002.jpg", 1], r"val\[1\]: expected \[path, label, class name\]"),
        ("test", ["../secret.jpg", 1, "ant"], r"test\[1\]: '\.\./secret\.jpg': a path with '\.\.'"),
        ("test", ["/etc/x.jpg", 1, "ant"], r"test\[1\]: '/etc/x\.jpg': an absolute path"),
        ("test", ["ant/image_0009.jpg", 1, "ant"], r"test\[1\]: 'ant/image_0009\.jpg': no such file"),
        ("test", ["ant/image_0001.jpg", 1, "ant"], r"test\[1\].*goes to .*, as .*train\[1\].* does"),
    ],
)
def test_a_bad_item_is_refused_by_its_position(caltech: Path, part: str, item: list[Any], named: str) -> None:
    content = {name: [*items, item] if name == part else items for name, items in GOOD.items()}
    with pytest.raises(DataError, match=named):
        list(open_with(write(caltech, content), name="caltech101"))


def test_labels_are_looked_at(caltech: Path) -> None:
    content = {"train": [["Faces/image_0001.jpg", 1, "face"], ["ant/image_0001.jpg", 3, "ant"]]}
    notes = open_with(write(caltech, content), name="c").notes
    assert any("labels 1 to 3, counted from 1 rather than 0" in note for note in notes)
    assert "labels without images: 2" in notes


def test_other_json_is_refused(caltech: Path) -> None:
    for content in ([], {"images": []}, {"train": {}}, {"train": []}):
        with pytest.raises(DataError, match=r"expected a mapping|hold no images|expected a list"):
            open_with(write(caltech, content), name="c")
    (caltech / "bad.json").write_text("{")
    with pytest.raises(DataError, match=r"bad\.json: not valid JSON"):
        open_with(caltech / "bad.json", name="c")


def test_pacs_label_files_name_domain_class_and_part(make: Make) -> None:
    """Dassl's pacs/: images/ beside splits/, labels from 1 (Dassl.pytorch, dassl/data/datasets/dg/pacs.py)."""
    root = make(["images/photo/dog/1.jpg", "images/photo/horse/2.jpg"], "pacs")
    (root / "splits").mkdir()
    lines = "photo/dog/1.jpg 1\nphoto/horse/2.jpg 5\n"
    for part in ("train", "crossval", "test"):
        (root / "splits" / f"photo_{part}_kfold.txt").write_text(lines)
    source = open_with(root / "splits/photo_train_kfold.txt")
    assert [(e.target, e.part) for e in source] == [("photo/dog/1.jpg", "train"), ("photo/horse/2.jpg", "train")]
    assert any("labels 1 to 5, counted from 1" in note for note in source.notes)
    assert {e.part for e in open_with(root / "splits/photo_crossval_kfold.txt")} == {"val"}
    assert {e.part for e in open_with(root / "splits/photo_test_kfold.txt")} == {""}  # a whole domain
    (root / "splits/sketch_train.txt").write_text("photo/dog/1.jpg 1\nphoto/dog/1.jpg 2\n")
    with pytest.raises(DataError, match="'dog' has label 1 in line 1 and 2 in line 2"):
        open_with(root / "splits/sketch_train.txt")
    (root / "splits/notes.txt").write_text("photo dog\n")
    with pytest.raises(DataError, match="line 1: expected `folder/image label`"):
        open_with(root / "splits/notes.txt")


def test_images_in_two_places_must_be_told_apart(make: Make) -> None:
    root = make(["a/ant/1.jpg", "b/ant/1.jpg"])
    path = root / "split.json"
    path.write_text(json.dumps({"train": [["ant/1.jpg", 0, "ant"]]}))
    with pytest.raises(DataError, match="are in both a and b; name the folder of images with --images"):
        open_with(path, name="c")
    (entry,) = open_with(path, name="c", images=root / "b")
    assert entry.read() == b"b/ant/1.jpg"
