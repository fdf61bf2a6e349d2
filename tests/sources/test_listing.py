"""Listings: rows become places in the workspace; every planted fault is refused by its name and line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from opening import open_with

from pipeline.errors import DataError, ParamsError

Make = Callable[..., Path]
FILES = ["raw/1.jpg", "raw/2.jpg", "more/1.jpg", "odd/3.png"]


@pytest.fixture
def folder(make: Make) -> Path:
    return make(FILES)


def listing(folder: Path, text: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_become_places(folder: Path) -> None:
    text = "path,class,domain,part,open_set,who\nraw/1.jpg,dog,photo,train,,me\nraw/2.jpg,cat,photo,Validation,,\n"
    path = listing(folder, text + "odd/3.png,dotted,,,dtd,\n")
    source = open_with(path)
    assert [(e.target, e.part, e.read()) for e in source] == [
        ("photo/dog/1.jpg", "train", b"raw/1.jpg"),
        ("photo/cat/2.jpg", "val", b"raw/2.jpg"),
        ("open_sets/dtd/dotted/3.png", "", b"odd/3.png"),
    ]
    assert "columns not used: who" in source.notes


def test_files_of_one_name_in_one_class_keep_their_folders(folder: Path) -> None:
    path = listing(folder, "path;class\nraw/1.jpg;dog\nmore/1.jpg;dog\nraw/2.jpg;dog\n")
    assert [e.target for e in open_with(path, name="pets")] == [
        "pets/dog/raw--1.jpg",
        "pets/dog/more--1.jpg",
        "pets/dog/2.jpg",
    ]


def test_parquet_says_the_same(folder: Path) -> None:
    frame = pd.DataFrame({"path": ["raw/1.jpg", "raw/2.jpg"], "class": ["dog", "cat"], "extra": [1.5, 2.5]})
    frame.to_parquet(folder / "list.parquet")
    assert [e.target for e in open_with(folder / "list.parquet", domain="photo")] == [
        "photo/dog/1.jpg",
        "photo/cat/2.jpg",
    ]
    (folder / "broken.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"broken\.parquet: not a readable Parquet table"):
        open_with(folder / "broken.parquet", domain="photo")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("../outside.jpg,dog", r"line 3: '../outside\.jpg': a path with '\.\.'"),
        ("raw/../../outside.jpg,dog", r"line 3: .*a path with '\.\.'"),
        ("/etc/passwd,dog", "line 3: '/etc/passwd': an absolute path"),
        ("C:/x.jpg,dog", "line 3: 'C:/x.jpg': an absolute path"),
        ("raw\\9.jpg,dog", r"line 3: 'raw\\\\9\.jpg': no such file"),
        ("..\\outside.jpg,dog", r"line 3: '\.\.\\\\outside\.jpg': a path with '\.\.'"),
        ("C:\\x.jpg,dog", "line 3: .*: an absolute path"),
        ("\\\\server\\x.jpg,dog", "line 3: .*: an absolute path"),
        ("raw/link.jpg,dog", r"line 3: 'raw/link\.jpg': a link that leaves given"),
        ("away/outside.jpg,dog", r"line 3: 'away/outside\.jpg': a link that leaves given"),
        ("raw/9.jpg,dog", r"line 3: 'raw/9\.jpg': no such file"),
        ("raw,dog", "line 3: 'raw': no such file"),
        ("raw/2.jpg,", "line 3: class is empty"),
        ("raw/2.jpg,dog,photo", "line 3: expected 2 fields, found 3"),
        ("raw/1.jpg,dog", r"line 3: raw/1\.jpg: goes to pets/dog/1\.jpg, as .*line 2: raw/1\.jpg does"),
        ("raw/2.jpg,../dog", "'pets/../dog/2.jpg' is neither"),
        ("raw/2.jpg,..", "line 3: raw/2.jpg: the name '..' begins with a dot"),
        ("raw/2.jpg,a\\b", "the name .* holds a path separator"),
        ("list.csv,dog", r"list\.csv: not an image file"),
    ],
)
def test_a_bad_row_is_refused_by_name_and_line(folder: Path, tmp_path: Path, row: str, named: str) -> None:
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    (folder / "raw/link.jpg").symlink_to(tmp_path / "outside.jpg")
    (folder / "away").symlink_to(tmp_path)
    path = listing(folder, f"path,class\nraw/1.jpg,dog\n{row}\n")
    with pytest.raises(DataError, match=named):
        list(open_with(path, name="pets"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "file,class\n",
            "no column of paths; found: file, class; expected one of path, file_name, or name it with --path-column",
        ),
        ("path,classes\n", "no column of classes; found: path, classes; expected one of class, .*--class-column"),
        ("path,class\n", "lists no images"),
        (
            "path,class,part\nraw/1.jpg,dog,holdout\n",
            "'raw/1.jpg': unknown part 'holdout'; expected train, val, test",
        ),
        (f"path,class\n{'x' * 20_000},dog\n", "not valid CSV: field larger"),
    ],
)
def test_a_bad_table_is_refused(folder: Path, text: str, named: str) -> None:
    with pytest.raises(DataError, match=named):
        list(open_with(listing(folder, text), name="pets"))


def test_many_bad_rows_are_counted(folder: Path) -> None:
    rows = "".join(f"raw/absent{i}.jpg,dog\n" for i in range(8))
    with pytest.raises(DataError, match=r"absent0.*absent4\.jpg': no such file; and 3 more$"):
        open_with(listing(folder, "path,class\n" + rows), name="pets")


def test_what_contradicts_is_refused(folder: Path) -> None:
    path = listing(folder, "path,class,domain\nraw/1.jpg,dog,photo\n")
    with pytest.raises(ParamsError, match="names domains itself"):
        open_with(path, domain="sketch")
    with pytest.raises(ParamsError, match="names no domain"):
        open_with(listing(folder, "path,class\nraw/1.jpg,dog\n"))
    with pytest.raises(DataError, match="unknown kind of source; expected a folder"):
        open_with(folder / "raw/1.jpg")


def test_classes_that_are_numbers_are_pointed_at(folder: Path) -> None:
    path = listing(folder, "path,class\nraw/1.jpg,1\nraw/2.jpg,2\n")
    (warning,) = open_with(path, name="pets").warnings
    assert "classes are numbers, 1 to 2" in warning
    assert "begin with 1" in warning


def test_a_listing_of_windows_is_read_as_it_is(make: Make) -> None:
    root = make(["images/Dog/1.png", "images/Cat/1.png"])
    text = "path;class\r\nimages\\Dog\\1.png;Dog\r\n.\\images\\Cat\\1.png;Cat\r\n"
    (root / "list.csv").write_bytes(text.encode("utf-8-sig"))
    source = open_with(root / "list.csv", name="pets")
    assert [(e.target, e.read()) for e in source] == [
        ("pets/Dog/1.png", b"images/Dog/1.png"),
        ("pets/Cat/1.png", b"images/Cat/1.png"),
    ]
    assert "backslashes in paths are taken as separators of folders" in source.notes
    (root / "all_train.txt").write_bytes("images\\Dog\\1.png 0\r\nimages\\Cat\\1.png 1\r\n".encode("utf-8-sig"))
    assert [(e.target, e.part) for e in open_with(root / "all_train.txt", domain="photo")] == [
        ("photo/Dog/1.png", "train"),
        ("photo/Cat/1.png", "train"),
    ]


@pytest.mark.parametrize(
    ("encoding", "mark", "said"),
    [
        ("utf-16-le", b"\xff\xfe", "list.csv: not UTF-8; it looks like UTF-16, as Windows saves"),
        ("utf-16-be", b"\xfe\xff", "list.csv: not UTF-8; it looks like UTF-16, as Windows saves"),
        ("utf-16-le", b"", "list.csv: not UTF-8; it looks like UTF-16LE, as Windows saves"),
        ("utf-16-be", b"", "list.csv: not UTF-8; it looks like UTF-16BE, as Windows saves"),
        ("cp1252", b"", "list.csv: line 3: not UTF-8; it looks like Windows-1252 (cp1252), in which the line reads "),
    ],
)
@pytest.mark.parametrize("name", ["list.csv", "a b/my list.csv"])
def test_another_encoding_is_named_with_the_command_that_converts_it(
    make: Make, encoding: str, mark: bytes, said: str, name: str
) -> None:
    root = make(["images/1.png", "images/2.png"], "my folder")
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(mark + "path,class\r\nimages/1.png,dog\r\nimages/2.png,cañon – “big”\r\n".encode(encoding))
    with pytest.raises(DataError) as error:
        open_with(path, name="pets")
    assert said in str(error.value)
    command = str(error.value).partition("convert it: ")[2]
    subprocess.run(command, shell=True, check=True)
    converted = path.with_name(f"{path.stem}-utf8.csv")
    assert [e.target for e in open_with(converted, name="pets")] == ["pets/dog/1.png", "pets/cañon – “big”/2.png"]


def test_bytes_of_no_known_encoding_are_named_by_their_line(folder: Path) -> None:
    (folder / "odd.csv").write_bytes(b"path,class\nraw/1.jpg,ca\x81on\n")
    with pytest.raises(DataError, match=r"odd\.csv: line 2: not UTF-8, nor Windows-1252; save it as UTF-8"):
        open_with(folder / "odd.csv", name="pets")


def test_split_files_say_the_same(make: Make) -> None:
    root = make(["images/dog/1.png"])
    (root / "split.json").write_bytes(b'\xef\xbb\xbf{"train": [["images/dog/1.png", 0, "dog"]]}')
    assert [e.target for e in open_with(root / "split.json", name="pets")] == ["pets/dog/1.png"]
    for name, text in (("split.json", '{"train": [["1.png", 0, "cañon"]]}'), ("l.txt", "images/cañon/1.png 0\n")):
        (root / name).write_text(text, encoding="utf-16")
        with pytest.raises(DataError, match=rf"{name}: not UTF-8; it looks like UTF-16, .*: iconv -f UTF-16 -t UTF-8 "):
            open_with(root / name, name="pets")
        (root / name).write_text(text, encoding="cp1252")
        with pytest.raises(
            DataError, match=rf"{name}: line 1: not UTF-8; it looks like Windows-1252 .*iconv -f CP1252"
        ):
            open_with(root / name, name="pets")
