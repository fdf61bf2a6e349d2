"""A source's files are images by what they hold; one whose decoder is not installed is counted by class."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from opening import open_with
from PIL import Image

from pipeline.cli.presets import folder_preset
from pipeline.errors import DataError
from pipeline.images import readable


def encoded(format_: str, shade: int = 0) -> bytes:
    readable()  # registers the encoder of HEIC
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), (shade, 80, 40)).save(stream, format_)
    return stream.getvalue()


def write(path: Path, format_: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(format_, len(path.name)))


def pack(path: Path, members: Mapping[str, bytes]) -> Path:
    """A zip or tar of these members, in their order."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


NAMES = {
    "1.jfif": "JPEG",
    "2.jpe": "JPEG",
    "3": "PNG",
    "4.txt": "GIF",
    "5.heic": "HEIF",
    "6.avif": "AVIF",
    "7.v2": "WEBP",
}


def test_a_folder_s_files_are_taken_by_their_content(tmp_path: Path) -> None:
    for name, format_ in NAMES.items():
        write(tmp_path / "mine/cat" / name, format_)
    (tmp_path / "mine/cat/notes.txt").write_text("no image")
    source = open_with(tmp_path / "mine", domain="photo")
    assert [entry.target for entry in source] == [f"photo/cat/{name}" for name in sorted(NAMES)]


@pytest.mark.parametrize("archive", ["pets.zip", "pets.tar", "pets.tar.gz"])
def test_an_archive_s_members_are_taken_by_their_content_and_the_others_are_reported(
    tmp_path: Path, archive: str
) -> None:
    images = {f"cat/{name}": encoded(format_) for name, format_ in NAMES.items()}
    # as large as several reads of a stream, since the first bytes are looked at before the rest is read
    images["cat/8.dat"] = encoded("BMP") + bytes(100_000)
    others = {"cat/notes.txt": b"no image", "cat/raw.nef": encoded("TIFF"), "cat/empty": b"", "about.md": b"GIF"}
    hidden = {"cat/._1.jfif": b"of macOS", "__MACOSX/cat/._1.jfif": b"of macOS", "__MACOSX/cat/._2.jpe": b"of macOS"}
    source = open_with(pack(tmp_path / archive, {**others, **images, **hidden}), name="pets")
    assert {entry.target: entry.read() for entry in source} == {f"pets/{name}": images[name] for name in images}
    assert dict(source.left_out.counts) == {"not images": 4, "hidden or system files": 2}
    named = source.left_out.lines()[0].removeprefix("left out, hidden or system files: 2: ")
    assert sorted(named.split(", ")) == ["__MACOSX", "cat/._1.jfif"]  # a zip's members are sorted, a tar's are not


@pytest.mark.parametrize("archive", ["s-0.zip", "s-0.tar", "s-0.tar.gz"])
def test_groups_of_webdataset_have_images_of_any_ending(tmp_path: Path, archive: str) -> None:
    png, gif = encoded("PNG"), encoded("GIF")
    members = {"1": png, "1.cls": b"cat", "2.cls": b"dog", "2.img": gif, "2.txt": b"a dog", "3.cls": b"dog"}
    source = open_with(pack(tmp_path / archive, members), name="pets")
    assert [(entry.target, entry.read()) for entry in source] == [
        ("pets/cat/s-0-1", png),
        ("pets/dog/s-0-2.img", gif),
    ]
    assert source.left_out.lines() == [
        "left out, labels without an image: 1: 3.cls",
        "left out, not images: 1: 2.txt",
    ]


def test_what_lies_beside_archives_is_reported(tmp_path: Path) -> None:
    pack(tmp_path / "pets.zip", {"cat/1": encoded("PNG")})
    (tmp_path / "checksums").write_text("of pets.zip")
    source = open_with(tmp_path, name="pets")
    assert [entry.target for entry in source] == ["pets/cat/1"]
    assert source.left_out.lines() == ["left out, beside the archives: 1: checksums"]
    write(tmp_path / "loose", "PNG")  # an image, so that the archive is only one file of a folder
    assert open_with(tmp_path, open_set="loose").kind == "folder"


def test_a_damaged_member_without_an_ending_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        archive.writestr("cat/1.png", b"1")
        archive.writestr("cat/2", b"\x89PNG\r\n\x1a\n")
    content = (tmp_path / "pets.zip").read_bytes()
    (tmp_path / "pets.zip").write_bytes(content.replace(b"\x1a", b"\x1b"))
    with pytest.raises(DataError, match=r"pets\.zip: member 'cat/2': damaged: Bad CRC-32"):
        open_with(tmp_path / "pets.zip", name="pets")


def test_a_listing_s_files_are_taken_by_their_content(tmp_path: Path) -> None:
    for name, format_ in NAMES.items():
        write(tmp_path / "raw" / name, format_)
    rows = "".join(f"raw/{name},cat\n" for name in NAMES)
    (tmp_path / "list.csv").write_text(f"path,class\n{rows}")
    source = open_with(tmp_path / "list.csv", name="pets")
    assert {entry.target for entry in source} == {f"pets/cat/{name}" for name in NAMES}


def test_a_path_without_an_ending_is_completed_to_the_only_image_of_its_name(tmp_path: Path) -> None:
    write(tmp_path / "raw/1.v2", "WEBP")
    (tmp_path / "raw/1.txt").write_text("beside the image")
    write(tmp_path / "raw/2.jfif", "JPEG")
    (tmp_path / "list.csv").write_text("path,class\nraw/1,cat\nraw/2,cat\n")
    source = open_with(tmp_path / "list.csv", name="pets")
    assert [entry.target for entry in source] == ["pets/cat/1.v2", "pets/cat/2.jfif"]
    write(tmp_path / "raw/1.dat", "PNG")
    with pytest.raises(DataError, match=r"line 2: 'raw/1': several files have this name \(1\.dat, 1\.v2\)$"):
        open_with(tmp_path / "list.csv", name="pets", images=tmp_path)


def test_a_path_is_not_completed_to_a_link_that_leaves(tmp_path: Path) -> None:
    write(tmp_path / "secret", "PNG")
    write(tmp_path / "pets/raw/1.png", "PNG")
    (tmp_path / "pets/raw/2.dat").symlink_to(tmp_path / "secret")
    (tmp_path / "pets/list.csv").write_text("path,class\nraw/1,cat\nraw/2,cat\n")
    with pytest.raises(DataError, match=r"line 3: 'raw/2': no such file$"):
        open_with(tmp_path / "pets/list.csv", name="pets")


def test_an_imagefolder_is_one_whatever_its_images_are_called(tmp_path: Path) -> None:
    for name, format_ in NAMES.items():
        write(tmp_path / name, format_)
    (tmp_path / "README.md").write_text("about")
    listed = sorted(NAMES)[:-1]
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + "".join(f"{name},cat\n" for name in listed))
    source = open_with(tmp_path, name="pets")
    assert source.kind == "imagefolder"
    assert [entry.target for entry in source] == [f"pets/cat/{name}" for name in listed]
    assert source.left_out.lines() == ["left out, in no table: 1: 7.v2", "left out, not images: 1: README.md"]


def test_images_of_fiftyone_without_a_label_are_counted_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.v2", "c"):
        write(tmp_path / "data" / name, "JPEG")
    (tmp_path / "data/notes.txt").write_text("no image")
    (tmp_path / "labels.json").write_text(json.dumps({"classes": ["cat"], "labels": {"a": 0, "b": 0}}))
    source = open_with(tmp_path, name="pets")
    assert [entry.target for entry in source] == ["pets/cat/a.jfif", "pets/cat/b.v2"]
    assert source.left_out.lines() == ["left out, not images: 1: notes.txt", "left out, without a label: 1: c"]


def test_label_studio_s_column_of_images_is_found_by_the_files(tmp_path: Path) -> None:
    write(tmp_path / "images/scan-1", "PNG")
    write(tmp_path / "images/note", "PNG")
    result = [{"from_name": "choice", "type": "choices", "value": {"choices": ["cat"]}}]
    data = {"text": "a note", "scan": "/data/upload/1/0a1b2c3d-scan-1"}
    (tmp_path / "tasks.json").write_text(json.dumps([{"id": 1, "data": data, "annotations": [{"result": result}]}]))
    assert [entry.target for entry in open_with(tmp_path / "tasks.json", name="pets")] == ["pets/cat/scan-1"]
    (tmp_path / "images/scan-1").write_text("no image")
    with pytest.raises(DataError, match=r"no column of images; found: text, scan, choice; name it with --path-column"):
        open_with(tmp_path / "tasks.json", name="pets")


def test_images_without_a_decoder_are_counted_by_class_before_anything_is_copied(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for number in range(8):
        write(tmp_path / f"mine/photo/cat/{number}.heic", "HEIF")
        write(tmp_path / f"mine/photo/dog/{number}{'' if number < 3 else '.png'}", "HEIF" if number < 3 else "PNG")
    assert folder_preset(tmp_path / "mine").title.endswith("16 images, 1 domain (photo), 2 classes")
    request.getfixturevalue("without_heic")
    install = r"a HEIC image, which needs the extra `heic` \(`pip install pillow-heif`\)"
    with pytest.raises(
        DataError, match=f"8 files of the class 'cat': {install}; 3 files of the class 'dog': {install}$"
    ):
        folder_preset(tmp_path / "mine")
