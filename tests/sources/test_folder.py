"""Plain folders are told apart by their depth, and what cannot become a workspace is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from opening import open_with

from pipeline.errors import DataError, ParamsError
from pipeline.sources import report

Make = Callable[..., Path]


def test_domains_and_classes_keep_their_names(make: Make) -> None:
    images = ["photo/dog/1.JPG", "photo/cat/2.png", "sketch/dog/1.jpg"]
    hidden = ["photo/.hidden/3.jpg", "photo/dog/Thumbs.db", "__MACOSX/photo/dog/1.jpg"]
    root = make([*images, *hidden, "photo/dog/notes.txt"])
    source = open_with(root)
    entries = list(source)
    assert [entry.target for entry in entries] == ["photo/cat/2.png", "photo/dog/1.JPG", "sketch/dog/1.jpg"]
    assert all(entry.file is not None and entry.read() == entry.target.encode() for entry in entries)
    assert report(source) == [
        f"{root}: domain/class/image",
        "taken: 3 images, 2 domains (photo, sketch), 2 classes",
        "left out, hidden or system files: 3: __MACOSX, photo/.hidden, photo/dog/Thumbs.db",
        "left out, not images: 1: photo/dog/notes.txt",
    ]
    assert [entry.target for entry in source] == [entry.target for entry in entries]  # walked anew


def test_images_without_a_label_are_left_out_and_reported(make: Make) -> None:
    """An export of CVAT as an unpacked ImageNet 1.0, alone or as one of several domains."""
    root = make(["cat/1.jpg", "dog/2.jpg", "no_label/3.jpg", "no_label/4.jpg", "no_label/notes.txt"])
    source = open_with(root, name="pets")
    assert [entry.target for entry in source] == ["pets/cat/1.jpg", "pets/dog/2.jpg"]
    assert source.left_out.lines() == [
        "left out, in no_label/, where CVAT puts images without a label: 2: no_label/3.jpg, no_label/4.jpg",
        "left out, not images: 1: no_label/notes.txt",
    ]
    both = make(["day/cat/1.jpg", "day/_unlabeled/3.jpg", "night/cat/1.jpg"], "both")
    source = open_with(both)
    assert [entry.target for entry in source] == ["day/cat/1.jpg", "night/cat/1.jpg"]
    assert source.left_out.lines() == [
        "left out, in _unlabeled/, where FiftyOne puts images without a label: 1: day/_unlabeled/3.jpg"
    ]
    with pytest.raises(
        DataError, match=r"no images found but those in no_label/, where CVAT puts images without a lab"
    ):
        open_with(make(["no_label/1.jpg"], "none"), name="pets")
    pool = open_with(root / "no_label", open_set="frames")  # named by its path, it is what it is said to be
    assert [entry.target for entry in pool] == [f"open_sets/frames/frames/{name}.jpg" for name in (3, 4)]


def test_the_workspace_s_own_layout_keeps_its_pools(make: Make) -> None:
    root = make(["photo/dog/1.jpg", "open_sets/dtd/dotted/1.jpg"])
    assert [entry.target for entry in open_with(root)] == ["open_sets/dtd/dotted/1.jpg", "photo/dog/1.jpg"]


def test_a_data_set_of_a_workspace_keeps_its_parts(make: Make) -> None:
    root = make(["photo/dog/1.jpg", "photo/dog/2.jpg", "photo/cat/1.jpg"])
    (root / "parts.csv").write_text("path,part\nphoto/dog/2.jpg,test\nphoto/cat/1.jpg,train\n")
    source = open_with(root)
    parts = {entry.target: entry.part for entry in source}
    assert parts == {"photo/dog/1.jpg": "", "photo/dog/2.jpg": "test", "photo/cat/1.jpg": "train"}
    assert source.left_out.total == 0
    (root / "parts.csv").write_text("path,part\nphoto/dog/9.jpg,test\n")
    with pytest.raises(DataError, match=r"line 2: 'photo/dog/9\.jpg' is no image"):
        open_with(root)


def test_a_data_set_of_a_workspace_keeps_its_groups(make: Make) -> None:
    root = make(["photo/dog/1.jpg", "photo/cat/1.jpg", "open_sets/dtd/dotted/1.jpg"])
    (root / "groups.csv").write_text("path,group\nphoto/dog/1.jpg,film\nopen_sets/dtd/dotted/1.jpg,film\n")
    source = open_with(root)
    groups = {entry.target: entry.group for entry in source}
    assert groups == {"photo/dog/1.jpg": "film", "photo/cat/1.jpg": "", "open_sets/dtd/dotted/1.jpg": "film"}
    assert (source.left_out.total, source.warnings) == (0, [])
    other = make(["dog/1.jpg", "cat/1.jpg"], "other")
    (other / "groups.csv").write_text("path,group\nphoto/dog/1.jpg,film\n")
    source = open_with(other, name="pets")
    assert {entry.group for entry in source} == {""}
    assert source.left_out.total == 1
    assert "groups.csv was not read: it describes domain/class/image, another layout" in source.warnings[0]


def test_classes_alone_become_one_domain(make: Make) -> None:
    root = make(["dog/1.jpg", "cat/2.jpg"])
    assert [entry.target for entry in open_with(root, name="pets")] == ["pets/cat/2.jpg", "pets/dog/1.jpg"]
    assert {entry.target for entry in open_with(root, name="pets", domain="x")} == {"x/cat/2.jpg", "x/dog/1.jpg"}
    with pytest.raises(ParamsError, match="name its domain with --domain"):
        open_with(root)


def test_an_open_set_takes_classes_or_images_alone(make: Make) -> None:
    root = make(["dotted/1.jpg", "woven/2.jpg"])
    assert [e.target for e in open_with(root, open_set="dtd")] == [
        "open_sets/dtd/dotted/1.jpg",
        "open_sets/dtd/woven/2.jpg",
    ]
    flat = make(["1.jpg"], "flat")
    assert [e.target for e in open_with(flat, open_set="places")] == ["open_sets/places/places/1.jpg"]
    with pytest.raises(DataError, match="images without class folders"):
        open_with(flat, name="flat")
    with pytest.raises(ParamsError, match="images of an open set have no domain"):
        open_with(root, open_set="dtd", domain="photo")


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["photo/dog/1.jpg", "photo/cat/1.jpg", "photo/2.jpg"], "photo/2.jpg: an image beside folders"),
        (["photo/dog/1.jpg", "photo/dog/more/2.jpg", "photo/cat/1.jpg"], "photo/dog/more: a folder among images"),
        (["photo/dog/1.jpg", "sketch/dog/more/2.jpg"], "images at several depths, such as "),
        (["a/b/c/d/1.jpg", "b/b/c/d/1.jpg"], "images lie 4 folders down, such as "),
        (["notes.txt"], "no images found (files by ending: .txt 1); expected domain/class/image"),
        (
            ["photo/dog/1.jpg", "photo/cat/1.psd"],
            "photo/cat: a class folder without images (files by ending: .psd 1)",
        ),
        (["open_sets/dtd/1.jpg", "photo/dog/1.jpg"], "open_sets/dtd/1.jpg: expected open_sets/pool/class/image"),
        (["photo/dog/1.jpg", "mean/dog/1.jpg"], "a domain cannot be called 'mean'"),
        (["photo/dog/1.jpg", "photo/ cat/1.jpg"], "begins or ends with a space"),
        (["photo/dog/1.jpg", "photo/c\nat/1.jpg"], "control character"),
    ],
)
def test_what_is_no_layout_is_named(make: Make, paths: list[str], named: str) -> None:
    with pytest.raises(DataError) as error:
        list(open_with(make(paths), name="pets"))
    assert named in str(error.value)


def test_links_may_not_leave_the_folder(make: Make, tmp_path: Path) -> None:
    root = make(["photo/dog/1.jpg"])
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"x")
    (root / "photo/dog/2.jpg").symlink_to(root / "photo/dog/1.jpg")
    assert [entry.file for entry in open_with(root)] == [root / "photo/dog/1.jpg"] * 2
    (root / "photo/dog/3.jpg").symlink_to(outside)
    with pytest.raises(DataError, match=r"photo/dog/3\.jpg: a link that leaves given"):
        list(open_with(root))
    (root / "photo/dog/3.jpg").unlink()
    (root / "photo/cat").symlink_to(tmp_path)
    with pytest.raises(DataError, match="photo/cat: a link that leaves given"):
        list(open_with(root))


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        open_with(tmp_path / "absent")
