"""A source's files are images by what they hold; one whose decoder is not installed is counted by class."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from opening import open_with
from PIL import Image

from pipeline.cli.presets import folder_preset
from pipeline.errors import DataError
from pipeline.images import readable


def write(path: Path, format_: str) -> None:
    readable()  # registers the encoder of HEIC
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), (len(path.name), 80, 40)).save(stream, format_)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())


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


def test_a_listing_s_files_are_taken_by_their_content(tmp_path: Path) -> None:
    for name, format_ in NAMES.items():
        write(tmp_path / "raw" / name, format_)
    rows = "".join(f"raw/{name},cat\n" for name in NAMES)
    (tmp_path / "list.csv").write_text(f"path,class\n{rows}")
    source = open_with(tmp_path / "list.csv", name="pets")
    assert {entry.target for entry in source} == {f"pets/cat/{name}" for name in NAMES}


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
