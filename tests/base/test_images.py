"""Decoding untrusted images: every odd kind is converted or refused by name, and the clean view is torchvision's."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.images import centre_square, open_rgb

LIMIT = 1_000_000


def encoded(image: Image.Image, fmt: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def test_16_bit_is_scaled_not_clipped():
    # 65535 / 257 = 255, 32896 / 257 = 128, 0 -> 0
    wide = Image.fromarray(np.array([[0, 32896, 65535]], dtype=np.uint16))
    pixels = np.asarray(open_rgb(encoded(wide), max_pixels=LIMIT))
    assert pixels[0, :, 0].tolist() == [0, 128, 255]


def test_transparency_lies_over_white():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 255))
    assert np.asarray(open_rgb(encoded(image), max_pixels=LIMIT)).tolist() == [[[255, 255, 255], [255, 0, 0]]]


def test_palette_transparency_lies_over_white():
    image = Image.new("P", (1, 1), 0)
    image.putpalette([9, 9, 9] * 256)
    assert np.asarray(open_rgb(encoded(image, transparency=0), max_pixels=LIMIT)).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_becomes_rgb(mode):
    assert open_rgb(encoded(Image.new(mode, (3, 2))), max_pixels=LIMIT).mode == "RGB"


def test_cmyk_becomes_rgb():
    assert open_rgb(encoded(Image.new("CMYK", (3, 2)), "JPEG"), max_pixels=LIMIT).mode == "RGB"


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees: a 4 x 2 file is shown as 2 x 4
    image = open_rgb(encoded(Image.new("RGB", (4, 2)), "JPEG", exif=exif), max_pixels=LIMIT)
    assert image.size == (2, 4)


def test_a_bomb_is_refused_before_it_is_decoded():
    with pytest.raises(DataError, match=r"big\.png: 2000 x 1000 pixels, more than data.max_pixels \(1000000\)"):
        open_rgb(encoded(Image.new("1", (2000, 1000))), max_pixels=LIMIT, name="big.png")


def test_a_bomb_beyond_pillows_own_limit_is_refused():
    with pytest.raises(DataError, match=r"bomb\.png"):
        open_rgb(encoded(Image.new("1", (20000, 10000))), max_pixels=LIMIT, name="bomb.png")


@pytest.mark.parametrize("keep", [0, 7, 60])
def test_damaged_files_are_named(tmp_path, keep):
    rng = np.random.default_rng(0)
    whole = encoded(Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)))
    file = tmp_path / "damaged.png"
    file.write_bytes(whole[:keep])
    with pytest.raises(DataError, match=r"damaged\.png"):
        open_rgb(file, max_pixels=LIMIT)


def test_other_formats_and_missing_files_are_named(tmp_path):
    (tmp_path / "text.png").write_text("<svg/>")
    with pytest.raises(DataError, match=r"text\.png: not an image of a known format"):
        open_rgb(tmp_path / "text.png", max_pixels=LIMIT)
    with pytest.raises(DataError, match=r"none\.png: no such file"):
        open_rgb(tmp_path / "none.png", max_pixels=LIMIT)


@pytest.mark.parametrize("size", [(61, 40), (40, 61), (33, 33), (17, 90), (200, 31)])
def test_clean_view_equals_torchvision(size):
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    expected = Compose([Resize(32, InterpolationMode.BICUBIC), CenterCrop(32)])(image)
    assert np.array_equal(centre_square(image, 32), np.asarray(expected))


def test_a_strip_is_refused_before_it_is_enlarged():
    with pytest.raises(DataError, match=r"strip\.png: 101 x 1 pixels"):
        open_rgb(encoded(Image.new("1", (101, 1))), max_pixels=LIMIT, name="strip.png")
    assert open_rgb(encoded(Image.new("1", (100, 1))), max_pixels=LIMIT).size == (100, 1)
