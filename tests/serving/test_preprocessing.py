"""The pixels that the graph sees are those of open_clip's own transform, within one grey level, on 1,000 images."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images import is_image
from pipeline.serving.inputs import pixels_of

IMAGES = 1000
SIDE = 224


def generated() -> Iterator[bytes]:
    """Handwritten digits of any size and shape, as PNG and JPEG, grey, in colour and with noise."""
    from sklearn.datasets import load_digits

    random = np.random.default_rng(0)
    for digit in load_digits().images[:IMAGES]:
        picture = Image.fromarray((digit * 15).astype(np.uint8))
        size = tuple(int(side) for side in random.integers(20, 500, 2))
        array = np.asarray(picture.resize(size, Image.Resampling.BILINEAR)).astype(np.float64)
        if random.random() < 0.7:
            array = array[:, :, None] * random.random(3) + random.normal(0, 20, (*array.shape, 3))
        stream = io.BytesIO()
        form = "JPEG" if random.random() < 0.5 else "PNG"
        Image.fromarray(array.clip(0, 255).astype(np.uint8)).save(stream, form)
        yield stream.getvalue()


def photographs() -> Iterator[bytes]:
    """Of the folders in CROFT_REAL_DATA."""
    paths = (path for path in sorted(Path(os.environ["CROFT_REAL_DATA"]).rglob("*")) if path.is_file())
    for path in [path for path in paths if is_image(path)][:IMAGES]:
        yield path.read_bytes()


def largest_difference(images: Iterator[bytes]) -> tuple[int, int]:
    """The largest difference in grey levels, and how many images there were."""
    import open_clip

    transform = open_clip.image_transform(SIDE, is_train=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    largest = count = 0
    for content in images:
        with Image.open(io.BytesIO(content)) as image:
            expected = (transform(image) * 255).round().permute(1, 2, 0).numpy().astype(np.int16)
        ours = pixels_of(content, size=SIDE, name="image", max_bytes=10**8, max_pixels=10**8).astype(np.int16)
        largest, count = max(largest, int(np.abs(ours - expected).max())), count + 1
    print(f"largest difference over {count} images: {largest} grey levels")
    return largest, count


@pytest.mark.slow
def test_generated_images() -> None:
    largest, count = largest_difference(generated())
    assert largest <= 1
    assert count == IMAGES


@pytest.mark.slow
@pytest.mark.skipif("CROFT_REAL_DATA" not in os.environ, reason="CROFT_REAL_DATA names no folder of real images")
def test_photographs() -> None:
    largest, count = largest_difference(photographs())
    assert largest <= 1
    assert count == IMAGES
