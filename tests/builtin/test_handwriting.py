"""The data set and the built-in CLIP's training share no image, and nothing can make them."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.builtin.handwriting import is_held_back, load
from pipeline.builtin.small_clip.glyphs import handwriting


def test_the_parts_are_disjoint_and_complete() -> None:
    dataset, pretraining = load("dataset"), load("pretraining")
    assert set(dataset.indices).isdisjoint(pretraining.indices)
    assert sorted([*dataset.indices, *pretraining.indices]) == list(range(1797))
    # by pixels too: no image of one part is a copy of an image of the other
    pixels = [{image.tobytes() for image in part.images} for part in (dataset, pretraining)]
    assert pixels[0].isdisjoint(pixels[1])


def test_the_part_follows_from_the_pixels_alone() -> None:
    for part, held in (("dataset", False), ("pretraining", True)):
        images = (load(part).images * 16).astype(np.uint8)  # type: ignore[arg-type]
        assert all(is_held_back(image) is held for image in images)
        assert all(is_held_back(np.asfortranarray(image)) is held for image in images[:20])  # memory order is no pixel


def test_the_clip_is_given_the_held_back_part() -> None:
    fields, labels = handwriting()
    part = load("pretraining")
    assert len(fields) == len(part.images) == 351
    assert labels.tolist() == part.labels.tolist()
    # brought back to 8x8, each field is still its own image (two images of one class correlate far less)
    back = torch.nn.functional.interpolate(fields, size=(12, 12), mode="bilinear", antialias=True)[:, 0, 2:10, 2:10]
    for field, image in zip(back.numpy(), part.images, strict=True):
        assert np.corrcoef(field.ravel(), image.ravel())[0, 1] > 0.93
