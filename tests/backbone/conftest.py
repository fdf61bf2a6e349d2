"""A CLIP of random weights that is small enough to encode hundreds of images in a second, and images for it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

TINY = "tiny-random-clip"
SIZE = 32


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """(open_clip model name, safetensors file)."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tiny")
    config: dict[str, Any] = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": SIZE, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    for name, quick in ((TINY, False), (f"{TINY}-quickgelu", True)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps({**config, "quick_gelu": quick}))
        open_clip.add_model_config(path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.create_model(TINY)
    weights = folder / "tiny.safetensors"
    save_file(model.state_dict(), weights)
    return TINY, weights


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
