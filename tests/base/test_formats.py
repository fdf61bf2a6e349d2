"""One table of formats: a file is what its first bytes say, whatever its ending, and every door reads all of them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.rules import rules
from pipeline.errors import DataError
from pipeline.images import FORMATS, SUFFIXES, decode, is_image, open_rgb, readable
from pipeline.images.formats import HEAD, format_of

LIMIT = 1_000_000
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8))


def encoded(format_: str, image: Image.Image = PICTURE, **options: object) -> bytes:
    readable()  # registers the encoder of HEIC
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


HEIC = encoded("HEIF")


@pytest.mark.parametrize("format_", FORMATS)
def test_the_first_bytes_tell_the_format_and_every_format_is_read(format_: str, tmp_path: Path) -> None:
    content = encoded(format_)
    assert format_of(content[:HEAD]) == format_
    for name in ("picture", "picture.jpe", "picture.txt", "picture.v2"):
        path = tmp_path / name
        path.write_bytes(content)
        assert is_image(path)
        image = decode(path, max_pixels=LIMIT)
        assert (image.format, image.rgb.mode, image.rgb.size, image.defect) == (format_, "RGB", (48, 40), "")


def test_the_gate_accepts_what_the_decoder_reads() -> None:
    (rule,) = [rule for rule in rules(min_side=16, context=77) if rule.check == "known_format"]
    assert rule.among == FORMATS == readable()
    assert {".gif", ".jfif", ".jpe", ".heic", ".avif"} <= set(SUFFIXES)


OTHERS = {
    "text": b"BM is how this text begins, and a bitmap too",
    "PDF": b"%PDF-1.7 ",
    "Photoshop": b"8BPS\0\1" + bytes(20),
    "film": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(32),
    "sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(16),
    "empty": b"",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_no_images(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OTHERS[kind])
    assert not is_image(tmp_path / "file")
    with pytest.raises(DataError, match=r"file: not an image of a known format \(JPEG, PNG, BMP, WebP, TIFF, GIF, AVI"):
        open_rgb(tmp_path / "file", max_pixels=LIMIT)


def test_a_raw_file_is_no_image_although_it_begins_like_a_tiff(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.NEF").write_bytes(encoded("TIFF"))
    assert not is_image(tmp_path / "IMG_1.NEF")


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not is_image(tmp_path / "pipe")


def test_of_an_animation_the_first_frame_counts() -> None:
    red, blue = Image.new("RGB", (20, 20), "red"), Image.new("RGB", (20, 20), "blue")
    content = encoded("GIF", red, save_all=True, append_images=[blue])
    assert open_rgb(content, max_pixels=LIMIT).getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "IMG_1.jpg"])
def test_a_missing_decoder_is_named_with_what_to_install(without_heic: None, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: a HEIC image, which needs the extra `heic` \(`pip install pillow-h"):
        open_rgb(HEIC, max_pixels=LIMIT, name=name)


@pytest.mark.parametrize("format_", ["HEIF", "AVIF", "GIF"])
def test_a_bomb_and_a_cut_file_are_refused_in_every_format(format_: str) -> None:
    with pytest.raises(DataError, match=r"x: 48 x 40 pixels, more than data.max_pixels \(1000\)"):
        open_rgb(encoded(format_), max_pixels=1000, name="x")
    content = encoded(format_)
    with pytest.raises(DataError, match="x: "):
        open_rgb(content[: len(content) // 2], max_pixels=LIMIT, name="x")
