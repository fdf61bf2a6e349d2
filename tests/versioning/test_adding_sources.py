"""Sources other than folders become versions in a real git and DVC project; the same source twice is one version."""

from __future__ import annotations

import dataclasses
import inspect
import json
import zipfile
from pathlib import Path

import pytest
from pictures import make_project, picture, write_pictures

from pipeline.errors import DataError
from pipeline.params import load_params
from pipeline.sources import SourceOptions
from pipeline.versioning.adding import Addition

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def add(root: Path, path: Path, **options: str) -> Addition:
    """All steps but the MLflow run."""
    data = load_params(ROOT / "params.yaml").data
    addition = Addition(path, "pets", SourceOptions(**options), root=root, data=data)  # type: ignore[arg-type]
    with addition.locked():
        for step in addition.steps()[:-1]:
            step()
    return addition


def held(root: Path) -> dict[str, bytes]:
    folder = root / "data/pets"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_zip_becomes_a_version_with_its_parts(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, name in enumerate(["train/cat/1.png", "train/dog/1.png", "test/cat/1.png"]):
            archive.writestr(f"Data/{name}", picture(number))
    first = add(root, path)
    assert held(root) == {
        "pets/cat/train-1.png": picture(0),
        "pets/dog/train-1.png": picture(1),
        "pets/cat/test-1.png": picture(2),
        "parts.csv": b"path,part\npets/cat/test-1.png,test\npets/cat/train-1.png,train\npets/dog/train-1.png,train\n",
    }
    second = add(root, path)
    assert (first.is_new, second.is_new) == (True, False)

    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("Data/train/dog/2.png", b"no image")
    with pytest.raises(DataError, match=r"1 bad image, nothing was added.*pets\.zip: Data/train/dog/2\.png"):
        add(root, path)
    assert len(held(root)) == 4


def test_groups_of_a_listing_are_kept_and_merged(root: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    write_pictures(given, {"a.png": 1, "b.png": 2, "c.png": 3, "d.png": 4})
    (given / "one.csv").write_text("path,class,group\na.png,cat,film 1\nb.png,dog,film 1\nc.png,dog,\n")
    add(root, given / "one.csv", domain="photo")
    assert held(root)["groups.csv"] == b"path,group\nphoto/cat/a.png,film 1\nphoto/dog/b.png,film 1\n"
    (given / "two.csv").write_text("path,class,group\nd.png,cat,film 1\n")
    second = add(root, given / "two.csv", domain="sketch")
    table = b"path,group\nphoto/cat/a.png,film 1\nphoto/dog/b.png,film 1\nsketch/cat/d.png,film 1\n"
    assert held(root)["groups.csv"] == table
    again = add(root, given / "two.csv", domain="sketch")
    assert (second.version.number, again.version.number, again.is_new) == (2, 2, False)
    (given / "one.csv").write_text("path,class,group\na.png,cat,\nb.png,dog,film 2\nc.png,dog,\n")
    third = add(root, given / "one.csv", domain="photo")  # the same images with other groups are another version
    assert third.version.number == 3
    assert held(root)["groups.csv"] == b"path,group\nphoto/dog/b.png,film 2\nsketch/cat/d.png,film 1\n"
    whole = add(root, root / "data/pets")
    assert whole.is_new is False


def test_tables_and_exports_become_versions(root: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    write_pictures(given, {"train/a.png": 1, "train/b.png": 2, "data/c.png": 3, "upload/d.png": 4})
    (given / "labels.csv").write_text("id,breed\na,dingo\nb,pug\n")
    add(root, given / "labels.csv", path_column="id", class_column="breed", domain="photo")
    (given / "labels.json").write_text(json.dumps({"classes": ["pug"], "labels": {"c": 0}}))
    add(root, given / "labels.json", domain="sketch")
    task = {"id": 7, "data": {"image": "/data/upload/1/01234567-d.png"}}
    choice = {"from_name": "choice", "type": "choices", "value": {"choices": ["pug"]}}
    (given / "tasks.json").write_text(json.dumps([{**task, "annotations": [{"result": [choice]}]}]))
    last = add(root, given / "tasks.json", domain="cartoon")
    assert last.version is not None
    assert last.version.number == 3
    assert held(root) == {
        "photo/dingo/a.png": picture(1),
        "photo/pug/b.png": picture(2),
        "sketch/pug/c.png": picture(3),
        "cartoon/pug/d.png": picture(4),
    }


def test_every_option_of_a_source_is_one_of_the_flow_and_of_the_command() -> None:
    from pipeline.cli import data_add
    from pipeline.flows.version_data import version_data

    options = {option.name for option in dataclasses.fields(SourceOptions)}
    assert options <= set(inspect.signature(version_data.fn).parameters)
    assert options <= set(inspect.signature(data_add).parameters)
