"""parts.csv: the parts that a data set's authors gave their images."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.manifest import build_manifest
from pipeline.errors import DataError
from pipeline.params import Data


def parts(root: Path, skip: bool = False) -> dict[str, str]:
    manifest = build_manifest(
        Data(root=str(root), min_side=16, max_pixels=10_000, workers=2, on_bad_image="skip" if skip else "fail")
    ).manifest
    return {path: part for path, part in zip(manifest["path"], manifest["part"], strict=True) if part}


def test_images_without_the_file_are_free(tree: Path) -> None:
    assert parts(tree) == {}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_named_images_get_their_part(tree: Path, mark: str) -> None:
    (tree / "b/dog/0.png").rename(tree / 'b/dog/a, "b".png')
    lines = ["path,part", "b/cat/1.png,test", "a/cat/0.png,train", '"b/dog/a, ""b"".png",val']
    (tree / "parts.csv").write_text(mark + "\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    assert parts(tree) == {"a/cat/0.png": "train", "b/cat/1.png": "test", 'b/dog/a, "b".png': "val"}


def test_a_part_of_a_refused_image_is_no_fault(tree: Path) -> None:
    (tree / "a/cat/0.png").write_bytes(b"text")
    (tree / "a/cat/notes.txt").touch()
    (tree / "parts.csv").write_text("path,part\na/cat/0.png,train\na/cat/notes.txt,train\na/cat/1.png,val\n")
    assert parts(tree, skip=True) == {"a/cat/1.png": "val"}


def test_domains_that_are_called_as_parts_are_refused_until_it_is_on_record_that_they_are_domains(tree: Path) -> None:
    (tree / "a").rename(tree / "train")
    (tree / "b").rename(tree / "Validation")
    refused = (
        rf"{tree}: the folders Validation, train are called as parts of a split are, and nothing says that they are "
        rf"domains; `croft data add {tree} --name NEW` makes a data set with these parts, and with --domains one with"
    )
    with pytest.raises(DataError, match=refused):
        parts(tree)
    record = tree.with_name(f"{tree.name}.versions.yaml")
    record.touch()  # `croft data add` took them for domains
    assert parts(tree) == {}
    record.unlink()
    (tree / "parts.csv").write_text("path,part\ntrain/cat/0.png,test\n")  # which has nothing to do with the folders
    assert parts(tree) == {"train/cat/0.png": "test"}
    (tree / "parts.csv").unlink()
    (tree / "Validation").rename(tree / "photo")
    with pytest.raises(DataError, match="the folder train is called as parts of a split are"):
        parts(tree)


def test_a_class_may_be_called_as_a_part(tree: Path) -> None:
    (tree / "a/cat").rename(tree / "a/train")
    assert parts(tree) == {}


FAULTS = {
    "unknown path": ("path,part\na/cat/0.png,val\na/cat/7.png,val\n", r"line 3: 'a/cat/7\.png' is no image below"),
    "path of a folder": ("path,part\na/cat,val\n", r"line 2: 'a/cat' is no image below"),
    "unknown part": ("path,part\na/cat/0.png,valid\n", r"line 2: unknown part 'valid'; expected train, val, test"),
    "no part": ("path,part\na/cat/0.png,\n", r"line 2: no part; name one or remove the line"),
    "twice": ("path,part\na/cat/0.png,val\na/cat/0.png,val\n", r"line 3: 'a/cat/0\.png' is listed in an earlier line"),
    "out of the folder": ("path,part\na/../../x.png,val\n", r"line 2: 'a/\.\./\.\./x\.png' leaves the folder"),
    "absolute": ("path,part\n/etc/x.png,val\n", r"line 2: '/etc/x\.png' leaves the folder"),
    "other columns": ("image,part\na/cat/0.png,val\n", r"line 1: expected the columns path,part, found image,part"),
    "empty": ("", r"line 1: expected the columns path,part, found $"),
    "another column": ("path,part\na/cat/0.png,val,1\n", r"line 2: expected 2 values, found 3"),
    "open quote": ('path,part\n"a/cat/0.png,val\n', r"after line 1: unexpected end of data"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_with_file_and_line(tree: Path, fault: str) -> None:
    content, message = FAULTS[fault]
    (tree / "parts.csv").write_text(content)
    with pytest.raises(DataError, match=r"images/parts\.csv: " + message) as caught:
        parts(tree)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_not_utf8_are_refused(tree: Path) -> None:
    (tree / "parts.csv").write_bytes("path,part\na/café/0.png,val\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"parts\.csv: not UTF-8"):
        parts(tree)


def test_a_file_that_is_no_such_table_is_not_read(tree: Path) -> None:
    with (tree / "parts.csv").open("wb") as file:
        file.truncate(257 * 2**20)  # sparse
    with pytest.raises(DataError, match=r"parts\.csv: 269484032 bytes, more than"):
        parts(tree)


def test_a_link_that_leaves_the_folder_is_not_read(tree: Path) -> None:
    (tree.parent / "outside.csv").write_text("path,part\n")
    for target in (tree.parent / "outside.csv", tree / "nowhere.csv", tree / "parts.csv"):
        (tree / "parts.csv").symlink_to(target)
        with pytest.raises(DataError, match=r"parts\.csv: (expected a file inside|cannot be read)"):
            parts(tree)
        (tree / "parts.csv").unlink()


def test_a_file_of_this_name_elsewhere_is_a_stray(tree: Path) -> None:
    (tree / "a" / "parts.csv").write_text("path,part\n")
    with pytest.raises(DataError, match=r"a/parts\.csv: a file at the wrong depth"):
        parts(tree)
