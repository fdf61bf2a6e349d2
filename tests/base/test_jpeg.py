"""A JPEG that lacks its end marker and nothing else is read; one that lacks any of its picture is refused."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.images import decode

LIMIT = 1_000_000
SIZE = (70, 50)
RNG = np.random.default_rng(0)
PICTURES = {
    "noise": Image.fromarray(RNG.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)),
    "smooth": Image.fromarray(RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize(SIZE),
    "flat": Image.new("RGB", SIZE, (10, 200, 30)),
}
OPTIONS: dict[str, dict[str, object]] = {
    "baseline": {},
    "coarse": {"quality": 30},
    "fine": {"subsampling": 0, "optimize": True},
    "progressive": {"progressive": True},
    "restarts by row": {"restart_marker_rows": 1},
    "restarts by block": {"restart_marker_blocks": 1},
}


def encoded(picture: str, options: str, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    PICTURES[picture].convert(mode).save(stream, "JPEG", **OPTIONS[options])
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("picture", PICTURES)
def test_without_its_end_marker_the_picture_is_the_same(picture: str, options: str, mode: str) -> None:
    content = encoded(picture, options, mode)
    whole = decode(content, max_pixels=LIMIT)
    assert whole.defect == ""
    for lost in (1, 2):  # half of the marker, or all of it
        cut = decode(content[:-lost], max_pixels=LIMIT)
        assert cut.defect == "lacks its end marker"
        assert cut.rgb.tobytes() == whole.rgb.tobytes()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("picture", PICTURES)
def test_a_file_that_is_cut_is_refused_wherever_that_shows(picture: str, options: str) -> None:
    content = encoded(picture, options)
    whole = decode(content, max_pixels=LIMIT)
    cuts = [*range(3, 24), *random.Random(0).sample(range(24, len(content)), 24)]
    refused = 0
    for lost in cuts:
        try:
            cut = decode(content[:-lost], max_pixels=LIMIT, name="x.jpg")
        except DataError:
            refused += 1
        else:  # nothing but padding was lost
            assert cut.rgb.tobytes() == whole.rgb.tobytes()
    assert refused > len(cuts) // 2


def test_what_follows_the_end_is_no_defect() -> None:
    assert decode(encoded("smooth", "baseline") + bytes(100), max_pixels=LIMIT).defect == ""


def test_a_bomb_without_its_end_is_refused_by_its_size() -> None:
    with pytest.raises(DataError, match=r"x\.jpg: 70 x 50 pixels, more than data.max_pixels \(1000\)"):
        decode(encoded("smooth", "baseline")[:-2], max_pixels=1000, name="x.jpg")
