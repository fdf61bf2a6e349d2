"""Exports of FiftyOne and Label Studio, with the labels that no classifier can use refused by name."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opening import open_with

from pipeline.errors import DataError, ParamsError

Make = Callable[..., Path]

# FiftyOne ------------------------------------------------------------------------------------------------------------


def labels(root: Path, content: Any, name: str = "labels.json") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_an_export_of_fiftyone(make: Make) -> None:
    root = make(["data/a1.jpg", "data/b2.png", "data/deep/c3.v1.jpg", "data/d4.jpg", "data/e5.jpg"])
    targets = {"a1": 0, "b2": 1, "deep/c3.v1": {"label": 0, "confidence": 0.9}, "d4": None}
    path = labels(root, {"classes": ["cat", "dog"], "labels": targets})
    for given in (root, path):
        source = open_with(given, name="pets")
        assert source.kind == "fiftyone"
        assert [(e.target, e.part, e.read()) for e in source] == [
            ("pets/cat/a1.jpg", "", b"data/a1.jpg"),
            ("pets/dog/b2.png", "", b"data/b2.png"),
            ("pets/cat/c3.v1.jpg", "", b"data/deep/c3.v1.jpg"),
        ]
        assert source.left_out.lines() == ["left out, without a label: 2: d4.jpg, e5.jpg"]


def test_names_in_place_of_indices_and_other_folders_of_images(make: Make) -> None:
    root = make(["pictures/a.jpg", "pictures/b.jpg"])
    path = labels(root, {"labels": {"a": "cat", "b.jpg": ["dog"]}})
    source = open_with(path, name="pets", images=root / "pictures")
    assert [e.target for e in source] == ["pets/cat/a.jpg", "pets/dog/b.jpg"]


def test_splits_of_fiftyone_are_parts(make: Make) -> None:
    root = make(["train/data/a.jpg", "validation/data/a.jpg"])
    labels(root, {"classes": ["cat"], "labels": {"a": 0}}, "train/labels.json")
    labels(root, {"classes": ["dog", "cat"], "labels": {"a": 1}}, "validation/labels.json")
    assert [(e.target, e.part) for e in open_with(root, name="pets")] == [
        ("pets/cat/train--data--a.jpg", "train"),
        ("pets/cat/validation--data--a.jpg", "val"),
    ]


@pytest.mark.parametrize(
    ("key", "target", "named"),
    [
        ("a", 2, r"labels\.json: a: label 2, but 'classes' has 2 names, counted from 0"),
        ("a", -1, "a: label -1, but 'classes' has 2 names"),
        ("a", True, "a: expected a class or its index, found 'True'"),
        ("a", 0.5, "a: expected a class or its index, found '0.5'"),
        ("a", [0, 1], "a: several labels or boxes; expected one class per image"),
        ("a", [{"label": 0, "bounding_box": [0, 0, 1, 1]}], "a: several labels or boxes"),
        ("gone", 0, r"labels\.json: gone: 'data/gone': no such file"),
        ("../secret", 0, r"'\.\./secret': a path with '\.\.'"),
        ("/etc/secret", 0, "'/etc/secret': an absolute path"),
    ],
)
def test_a_label_that_is_no_class_is_refused_by_name(make: Make, key: str, target: Any, named: str) -> None:
    root = make(["data/a.jpg", "data/b.jpg", "secret.jpg"])
    labels(root, {"classes": ["cat", "dog"], "labels": {"b": 0, key: target}})
    with pytest.raises(DataError, match=named):
        list(open_with(root, name="pets"))


def test_a_file_of_another_shape_is_refused(make: Make) -> None:
    root = make(["data/a.jpg"])
    for content in ({"classes": "cat", "labels": {}}, {"labels": []}, {"classes": [1], "labels": {}}):
        with pytest.raises(DataError, match=r"labels\.json: expected \{\"classes\""):
            open_with(labels(root, content), name="pets")
    with pytest.raises(DataError, match="lists no images"):
        open_with(labels(root, {"labels": {"a": None}}), name="pets")


# Label Studio --------------------------------------------------------------------------------------------------------


def chosen(*classes: str, control: str = "choice", **facts: Any) -> dict[str, Any]:
    """An annotation with a choice."""
    value = {"choices": list(classes)}
    return {"result": [{"from_name": control, "to_name": "image", "type": "choices", "value": value}], **facts}


def task(number: int, image: str, *annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": number, "data": {"image": image, **data}, "annotations": list(annotations)}


UPLOADED = "/data/upload/1/0a1b2c3d-cat.jpg"
URLS = [
    (UPLOADED, "0a1b2c3d-cat.jpg"),  # as it lies in Label Studio's folder of uploads
    (UPLOADED, "cat.jpg"),  # as it was before
    (UPLOADED, "images/cat.jpg"),
    ("/data/local-files/?d=pets/big%20cat.jpg", "pets/big cat.jpg"),
    ("/data/local-files/?d=C%3A%5Cpets%5Ccat.jpg", "pets/cat.jpg"),
    ("s3://bucket/pets/cat.jpg", "pets/cat.jpg"),
    ("https://example.com/pets/cat.jpg?signature=x", "cat.jpg"),
    ("pets/cat.jpg", "pets/cat.jpg"),
]


@pytest.mark.parametrize(("url", "file"), URLS)
def test_files_are_found_by_the_end_of_their_url(make: Make, url: str, file: str) -> None:
    root = make([file])
    path = labels(root, [task(1, url, chosen("cat"))], "project-1.json")
    source = open_with(path, name="pets")
    assert source.kind == "label-studio"
    (entry,) = source
    assert (entry.target, entry.read()) == (f"pets/cat/{file.rpartition('/')[2]}", file.encode())


def test_files_may_lie_elsewhere(make: Make) -> None:
    root = make(["exports/readme.md", "pictures/cat.jpg"])
    path = labels(root, [task(1, UPLOADED, chosen("cat"))], "exports/project.json")
    with pytest.raises(
        DataError, match=r"task 1: '/data/upload/.*': no such file in exports; .*name their folder with --images"
    ):
        open_with(path, name="pets")
    (entry,) = open_with(path, name="pets", images=root / "pictures")
    assert entry.target == "pets/cat/cat.jpg"


TASKS = [
    task(1, "a.jpg", chosen("cat"), domain="photo"),
    task(2, "b.jpg", chosen("dog"), chosen("dog"), domain="sketch"),
    task(3, "c.jpg", chosen("cat", was_cancelled=True), domain="photo"),
    task(4, "d.jpg", domain="photo"),
    task(5, "e.jpg", chosen("cat"), chosen("dog", ground_truth=True), domain="photo"),
]
FILES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
EXPECTED = ["photo/cat/a.jpg", "sketch/dog/b.jpg", "photo/dog/e.jpg"]


def test_json_counts_what_is_labelled(make: Make) -> None:
    source = open_with(labels(make(FILES), TASKS, "project.json"))
    assert [e.target for e in source] == EXPECTED
    assert source.left_out.lines() == ["left out, without a label: 2: c.jpg, d.jpg"]


def records() -> list[dict[str, Any]]:
    """The tasks as JSON_MIN and CSV have them: a record for each annotation, without the ground truth."""
    rows = []
    for one in TASKS:
        for note in one["annotations"]:
            cancelled = note.get("was_cancelled", False)
            facts = {"id": one["id"], "annotator": 1, "annotation_id": len(rows), "was_cancelled": cancelled}
            if not (one["id"] == 5 and "ground_truth" not in note):
                rows.append({**one["data"], **facts, "choice": note["result"][0]["value"]["choices"][0]})
    return rows


def test_json_min(make: Make) -> None:
    source = open_with(labels(make(FILES), records(), "project.json"))
    assert source.kind == "label-studio"
    assert [e.target for e in source] == EXPECTED
    assert source.left_out.lines() == ["left out, without a label: 1: c.jpg"]


@pytest.mark.parametrize(("ending", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_csv_and_tsv(make: Make, ending: str, delimiter: str) -> None:
    path = make(FILES) / f"project.{ending}"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted(records()[0]), delimiter=delimiter, quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        writer.writerows(records())
    source = open_with(path)
    assert source.kind == "label-studio"
    assert [e.target for e in source] == EXPECTED
    assert source.left_out.lines() == ["left out, without a label: 1: c.jpg"]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (task(2, "b.jpg", chosen("cat", "dog")), r"task 2: several choices \(\['cat', 'dog'\]\); expected one class"),
        (
            task(2, "b.jpg", chosen("cat"), chosen("dog")),
            r"task 2: annotators disagree \(cat, dog\); mark one annotation",
        ),
        (task(2, "gone.jpg", chosen("cat")), r"task 2: 'gone\.jpg': no such file in given"),
        (task(2, "../secret.jpg", chosen("cat")), r"task 2: '\.\./secret\.jpg': no path of an image"),
        (task(2, "https://host/other/a.jpg", chosen("cat")), r"task 2: .*: is a\.jpg, as 'a\.jpg' of task 1 is"),
        ({"id": 2, "data": []}, r"task 2: expected a mapping 'data'"),
        (task(2, "link.jpg", chosen("dog")), r"task 2: 'link\.jpg': no such file"),
    ],
)
def test_a_task_without_one_class_or_file_is_refused_by_name(
    make: Make, tmp_path: Path, bad: dict[str, Any], named: str
) -> None:
    root = make(["a.jpg", "b.jpg"])
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(DataError, match=named):
        open_with(labels(root, [task(1, "a.jpg", chosen("cat")), bad], "project.json"), name="pets")


def test_several_controls_are_told_apart_by_an_option(make: Make) -> None:
    root = make(["a.jpg"])
    note = chosen("cat", control="animal")
    note["result"] += chosen("sharp", control="quality")["result"]
    path = labels(root, [task(1, "a.jpg", note)], "project.json")
    with pytest.raises(DataError, match="no column of classes; found: animal, quality; name it with --class-column"):
        open_with(path, name="pets")
    assert [e.target for e in open_with(path, name="pets", class_column="animal")] == ["pets/cat/a.jpg"]
    with pytest.raises(ParamsError, match=r"--class-column animals: .*did you mean 'animal'\?"):
        open_with(path, name="pets", class_column="animals")


def test_boxes_are_no_classes(make: Make) -> None:
    box = {"result": [{"from_name": "box", "type": "rectanglelabels", "value": {"rectanglelabels": ["cat"]}}]}
    with pytest.raises(DataError, match="no column of classes; found: none"):
        open_with(labels(make(["a.jpg"]), [task(1, "a.jpg", box)], "project.json"), name="pets")
