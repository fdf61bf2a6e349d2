"""The tiny CLIP of random weights, and images for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_clip import tiny_clip


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """(open_clip model name, safetensors file)."""
    return tiny_clip(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def backbone(tiny: tuple[str, Path]) -> Any:
    from pipeline.backbone.load import load_backbone

    return load_backbone(*tiny, "cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """Ten PNG images of different shapes, smooth enough for the crop to matter, and their manifest."""
    root = tmp_path / "images"
    rows = []
    for number in range(10):
        rng = np.random.default_rng(number)
        height, width = int(rng.integers(20, 70)), int(rng.integers(20, 70))
        coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        path = root / "ink" / "cat" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(path)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append((path.relative_to(root).as_posix(), "ink", "cat", content, width, height, "RGB", "PNG", 1))
    columns = ["path", "domain", "class", "sha256", "width", "height", "mode", "format", "bytes"]
    return root, pd.DataFrame(rows, columns=columns)
