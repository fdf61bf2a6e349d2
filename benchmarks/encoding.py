"""(e) Encoding images from files, as the pipeline does, against the encoder alone, fed from memory."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import alternate, ratio

if TYPE_CHECKING:
    from pipeline.backbone.protocol import Backbone

Row = dict[str, Any]
MODEL = "ViT-B-32"
SIZES = [(227, 227), (500, 375)]  # images of PACS, and of ImageNet on average; pixels
VIEWS = (1, 9)  # the clean view alone, and with 8 augmented ones


def encoding(device: str, rounds: int) -> list[Row]:
    """Random weights (the time does not depend on them), JPEG files of photograph-like content, an empty store.

    The pipeline's way reads, hashes, decodes, makes the views, encodes and stores; all but encoding ought to hide
    behind it.
    """
    import os

    from pipeline.params import Featurize

    rows = []
    on_gpu = device.startswith("cuda")
    batch, workers = (Featurize().batch_size, max(4, os.cpu_count() or 4)) if on_gpu else (32, Featurize().workers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backbone = _backbone(folder, device)
        for size in SIZES:
            for views in VIEWS:
                count = (64 * batch if on_gpu else 3 * batch) // views
                rows.append(_case(folder, backbone, size, views, count, batch, workers, rounds))
    return rows


def _case(
    folder: Path,
    backbone: Backbone,
    size: tuple[int, int],
    views: int,
    count: int,
    batch: int,
    workers: int,
    rounds: int,
) -> Row:
    from pipeline.backbone.decode import Work
    from pipeline.backbone.encode import ImageEncoder
    from pipeline.backbone.store import EmbeddingStore
    from pipeline.backbone.views import CLEAN, Views

    root = folder / f"{size[0]}x{size[1]}"
    names = [_photograph(root, number, size) for number in range(count)]
    recipe = Views(backbone.preprocessing.size, 0)
    side = backbone.preprocessing.size
    pixels = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    total = count * views
    waits: list[float] = []
    turn = 0

    def from_memory() -> None:
        for start in range(0, total, batch):
            backbone.encode_images(pixels[: min(batch, total - start)])

    def from_files() -> None:
        nonlocal turn
        turn += 1
        works = [
            Work(
                path, content, size[0] * size[1], [(view, f"{turn} {path} {view}") for view in range(CLEAN, views - 1)]
            )
            for path, content in names
        ]
        with EmbeddingStore(folder / "store", str(size), width=backbone.width) as store:
            waits.append(ImageEncoder(backbone, root, recipe, batch, workers).fill(store, works))

    times = alternate({"memory": from_memory, "files": from_files}, rounds, device=backbone.device)
    share = ratio(times["memory"], times["files"])
    median = sorted(times["files"].wall)[rounds // 2]
    return {
        "image": f"{size[0]} x {size[1]}",
        "views per image": views,
        "views": total,
        "batch": batch,
        "workers": workers,
        "share of the encoder's speed": share.median,
        "lowest": share.low,
        "highest": share.high,
        "share of time waiting": sorted(waits[1:])[rounds // 2] / median,
        "views a second": total / median,
    }


def _backbone(folder: Path, device: str) -> Backbone:
    import open_clip
    import torch
    from safetensors.torch import save_file

    from pipeline.backbone.load import load_backbone
    from pipeline.backbone.openclip.config import quiet_open_clip

    with torch.random.fork_rng(), quiet_open_clip():
        torch.manual_seed(0)
        module = open_clip.create_model(MODEL, pretrained=None)
    save_file(module.state_dict(), folder / "weights.safetensors")
    del module
    return load_backbone(MODEL, folder / "weights.safetensors", device)


def _photograph(root: Path, number: int, size: tuple[int, int]) -> tuple[str, str]:
    """Path and hash of a JPEG whose spectrum falls off as that of photographs does, about 1 bit per pixel."""
    from PIL import Image

    path = root / f"{number}.jpg"
    if not path.exists():
        rng = np.random.default_rng([number, *size])
        layers = [
            Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(
                size, Image.Resampling.BICUBIC
            )
            for side in (4, 16, 64, 128)
        ]
        weights = (0.5, 0.3, 0.15, 0.05)
        picture = sum(weight * np.asarray(layer, np.float32) for weight, layer in zip(weights, layers, strict=True))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(picture).clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return path.name, hashlib.sha256(path.read_bytes()).hexdigest()
