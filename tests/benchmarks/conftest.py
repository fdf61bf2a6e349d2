"""Features in the layout of the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

CLASSES, WIDTH = 8, 16
NAMES = ["h", "c", "a", "b", "g", "e", "f", "d"]  # not sorted: labels in the file are places in this list


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `clip_vitb32.npz` of the real one's layout: clusters that are easy to tell apart, and noise for the unknown."""
    draw = np.random.default_rng(0)
    text = np.eye(CLASSES, WIDTH)
    parts = [("caltech", "fewshot", 16), ("caltech", "val", 3), ("caltech", "test", 4)]
    parts += [("imagenet", "1shot", 1), ("imagenet", "2shot", 2), ("imagenet", "4shot", 4)]
    domains, splits, labels = [], [], []
    for domain, split, count in parts:
        for number in [*range(CLASSES), -1]:
            domains += [domain] * count
            splits += [split] * count
            labels += [number] * count
    centres = np.vstack([text, np.full(WIDTH, WIDTH**-0.5)])  # row -1: unknown
    features = centres[labels] + 0.05 * draw.normal(size=(len(labels), WIDTH))
    path = tmp_path_factory.mktemp("features")
    np.savez(
        path / "clip_vitb32.npz",
        features=features.astype(np.float16), labels=np.array(labels, np.int16), domain=np.array(domains),
        split=np.array(splits), classnames=np.array(NAMES), text_features=text.astype(np.float16),
        dtd_features=draw.normal(size=(9, WIDTH)).astype(np.float16),
        flowers_features=draw.normal(size=(11, WIDTH)).astype(np.float16),
        negative_text_features=draw.normal(size=(30, WIDTH)).astype(np.float16),
    )  # fmt: skip
    return path
