"""Tables of any titles: columns are named by options, endings are completed, and errors say which columns there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from opening import open_with

from pipeline.errors import DataError, ParamsError
from pipeline.sources import SourceOptions
from pipeline.sources.report import report

Make = Callable[..., Path]


@pytest.fixture
def breeds(make: Make) -> Path:
    """Kaggle's dog-breed-identification: labels.csv with id and breed; images in train/, unlabelled ones in test/."""
    root = make(["train/000bec18.jpg", "train/001513df.jpg", "train/001cdf01.jpg", "test/000621fb.jpg"])
    (root / "labels.csv").write_text("id,breed\n000bec18,boston_bull\n001513df,dingo\n001cdf01,pekinese\n")
    return root


def test_columns_are_named_and_endings_completed(breeds: Path) -> None:
    source = open_with(breeds / "labels.csv", name="dogs", path_column="id", class_column="breed")
    assert [(e.target, e.read()) for e in source] == [
        ("dogs/boston_bull/000bec18.jpg", b"train/000bec18.jpg"),
        ("dogs/dingo/001513df.jpg", b"train/001513df.jpg"),
        ("dogs/pekinese/001cdf01.jpg", b"train/001cdf01.jpg"),
    ]
    assert "paths are in the column id, classes in breed" in source.notes


def test_the_error_names_the_columns_and_the_option(breeds: Path) -> None:
    path = breeds / "labels.csv"
    with pytest.raises(
        DataError, match=r"labels\.csv: no column of paths; found: id, breed; .*name it with --path-column"
    ):
        open_with(path, name="dogs")
    with pytest.raises(DataError, match=r"no column of classes; found: id, breed; .*name it with --class-column"):
        open_with(path, name="dogs", path_column="id")
    with pytest.raises(ParamsError, match=r"--class-column bred: .* no such column; did you mean 'breed'\?"):
        open_with(path, name="dogs", path_column="id", class_column="bred")


def test_domains_come_from_a_column(make: Make) -> None:
    root = make(["a.png", "b.png"])
    (root / "list.csv").write_text("Image ;Kind;Camera\na;cat;night\nb.png;dog;day\n")
    options = {"path_column": "image", "class_column": "kind", "domain_column": "camera"}
    source = open_with(root / "list.csv", **options)
    assert [e.target for e in source] == ["night/cat/a.png", "day/dog/b.png"]
    pool = open_with(root / "list.csv", open_set="night", path_column="image", class_column="kind")
    assert [e.target for e in pool] == ["open_sets/night/cat/a.png", "open_sets/night/dog/b.png"]


def test_a_named_column_wins_over_a_known_title(make: Make) -> None:
    root = make(["a.png"])
    (root / "list.csv").write_text("path,class,label\na.png,0,cat\n")
    assert [e.target for e in open_with(root / "list.csv", name="p")] == ["p/0/a.png"]
    assert [e.target for e in open_with(root / "list.csv", name="p", class_column="label")] == ["p/cat/a.png"]


def test_json_lines_are_a_listing(make: Make) -> None:
    root = make(["a.png", "b.png"])
    text = '\ufeff{"path": "a.png", "class": "cat"}\n\n{"path": "b", "class": 7, "domain": "photo", "box": [1, 2]}\n'
    (root / "list.jsonl").write_text(text, encoding="utf-8")
    source = open_with(root / "list.jsonl", name="p")
    assert [e.target for e in source] == ["p/cat/a.png", "photo/7/b.png"]
    assert "columns not used: box" in source.notes


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (["x/1.jpg", "x/1.png"], r"'x/1': several files have this name \(1\.jpg, 1\.png\)"),
        (["x/1.txt"], "'x/1': no such file"),
        (["x/12.jpg"], "'x/1': no such file"),
        (["x/1/2.jpg"], "'x/1': no such file"),
    ],
)
def test_an_ending_is_completed_only_where_one_image_has_the_name(make: Make, files: list[str], problem: str) -> None:
    root = make(files)
    (root / "list.csv").write_text("path,class\nx/1,cat\n")
    with pytest.raises(DataError, match=problem):
        open_with(root / "list.csv", name="p")


def test_a_completed_file_is_inside_too(make: Make, tmp_path: Path) -> None:
    root = make(["a.png"])
    (tmp_path / "outside.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    for name in ("link", "../outside"):
        (root / "list.csv").write_text(f"path,class\na,cat\n{name},dog\n")
        with pytest.raises(DataError, match=r"a link that leaves given|a path with '\.\.'"):
            open_with(root / "list.csv", name="p")


def test_columns_are_for_tables(make: Make) -> None:
    with pytest.raises(ParamsError, match=r"--class-column breed: .* is no table"):
        open_with(make(["cat/1.png"]), name="p", class_column="breed")
    with pytest.raises(ParamsError, match="both name domains"):
        SourceOptions(domain="x", domain_column="site")
    with pytest.raises(ParamsError, match="has layouts of its own"):
        SourceOptions(benchmark="pacs", class_column="breed")


def test_groups_come_from_a_column(make: Make) -> None:
    root = make(["a.png", "b.png", "c.png"])
    (root / "list.csv").write_text("path,class,Group,patient\na.png,cat,film 1,7\nb.png,dog,film 1,\nc.png,dog,,7\n")
    by_title = open_with(root / "list.csv", name="p")
    assert [(e.target, e.group) for e in by_title] == [
        ("p/cat/a.png", "film 1"),
        ("p/dog/b.png", "film 1"),
        ("p/dog/c.png", ""),
    ]
    assert any("1 group of 2 images" in line for line in report(by_title))
    assert [e.group for e in open_with(root / "list.csv", name="p", group_column="patient")] == ["7", "", "7"]
    assert [e.group for e in open_with(root / "list.csv", open_set="night")] == ["film 1", "film 1", ""]
    with pytest.raises(ParamsError, match=r"--group-column patent: .* no such column; did you mean 'patient'"):
        open_with(root / "list.csv", name="p", group_column="patent")
    (root / "list.csv").write_text(f"path,class,group\na.png,cat,{'g' * 201}\n")
    with pytest.raises(DataError, match=r"line 2: 'a\.png': the group 'g{20}'\.\.\. has 201 characters"):
        open_with(root / "list.csv", name="p")
