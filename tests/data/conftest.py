"""A small folder of images, and manifests made of nothing but rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two domains x two classes x two PNG images of 24 x 20 pixels, each with its own content."""
    root = tmp_path / "images"
    for number, (domain, name, index) in enumerate(
        (d, c, i) for d in ("a", "b") for c in ("cat", "dog") for i in range(2)
    ):
        path = root / domain / name / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return root


@pytest.fixture
def rows() -> Callable[..., pd.DataFrame]:
    """Builds a manifest from (domain, class, count) triples; contents are told apart by their path.

    A domain `open_sets/NAME` is the pool NAME; a class `NAME:PART` has images that were given for PART.
    """

    def build(groups: Iterable[tuple[str, str, int]]) -> pd.DataFrame:
        paths = [
            (f"{d}/{c.partition(':')[0]}/{c.partition(':')[2]}{i:03d}.png", d, *c.partition(":")[::2])
            for d, c, count in groups
            for i in range(count)
        ]
        pools = [domain.removeprefix("open_sets/") if "/" in domain else "" for _, domain, _, _ in paths]
        return pd.DataFrame(
            {
                "path": [path for path, _, _, _ in paths],
                "domain": ["" if "/" in domain else domain for _, domain, _, _ in paths],
                "class": [name for _, _, name, _ in paths],
                "pool": pools,
                "sha256": [hashlib.sha256(path.encode()).hexdigest() for path, _, _, _ in paths],
                "phash": [hashlib.sha256(path.encode()).hexdigest()[:16] for path, _, _, _ in paths],
                "width": 64,
                "height": 48,
                "mode": "RGB",
                "format": "PNG",
                "bytes": 1000,
                "defect": "",
                "part": [part for _, _, _, part in paths],
                "group": "",
            }
        )

    return build
