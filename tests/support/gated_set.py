"""A small data set of real images, written anew, and what ingest, the gate and the split say about it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.backbone.load import load_tokenizer
from pipeline.backbone.prompts import name_tokens
from pipeline.data.classes import known_classes, overlapping_pools, without
from pipeline.data.leakage import check_splits
from pipeline.data.manifest import build_manifest
from pipeline.data.near_leakage import CHECK, leakage_verdict, near_leakage
from pipeline.data.protocols import make_splits
from pipeline.data.quality import check_manifest
from pipeline.errors import DataError
from pipeline.params import Data, Split

SIZE = (64, 48)
SHOTS, VALIDATION = 2, 1
PROMPTS = ("a photo of a {}.",)


def picture(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Image.Image:
    """Smooth random colours: no two look alike, and JPEG or a new size hardly changes them."""
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def write_set(root: Path, seed: int, classes: tuple[str, ...] = ("cat", "dog", "owl"), each: int = 5) -> None:
    """Two domains and two classes of a pool, in JPEG, PNG and WebP."""
    rng = np.random.default_rng(seed)
    folders = [f"{domain}/{name}" for domain in ("chalk", "ink") for name in classes]
    for folder in [*folders, "open_sets/dtd/banded", "open_sets/dtd/zigzagged"]:
        (root / folder).mkdir(parents=True)
        for number in range(each):
            suffix = (".png", ".jpg", ".webp")[int(rng.integers(0, 3))]
            size = (int(rng.integers(40, 90)), int(rng.integers(40, 90)))
            picture(rng, size).save(root / folder / f"{number}{suffix}")


@dataclass
class Outcome:
    """What the three steps said, and whether one of them stopped the run."""

    stops: bool
    said: str
    paths: list[str] = field(default_factory=list)


def check(root: Path, docs: Path, class_names: dict[str, str] | None = None, **changes: Any) -> Outcome:
    """Ingest, gate and split, with the calls that the stages make."""
    data = Data(**{"root": str(root), "unknown": ("owl",), "max_pixels": 100_000, "workers": 2, **changes})
    split = Split(seeds=(1, 2), shots=SHOTS, validation=VALIDATION)
    class_names = class_names or {}
    try:
        found = build_manifest(data)
    except DataError as error:
        return Outcome(True, str(error))
    known = known_classes(found.manifest, data.unknown)
    tokenizer = load_tokenizer("croft-small", Path("none"))
    tokens = name_tokens(tokenizer, [class_names.get(name, name) for name in known], PROMPTS)
    verdict, _ = check_manifest(
        found.manifest,
        found.refused,
        data,
        split,
        class_names=class_names,
        tokens=dict(zip(known, tokens, strict=True)),
        context=tokenizer.context,
        docs=docs,
    )
    said = [*verdict["problems"], *verdict["warnings"], *verdict["notes"]]
    paths = found.manifest["path"].tolist()
    if not verdict["success"]:
        return Outcome(True, "\n".join(said), paths)
    overlaps = overlapping_pools(found.manifest, known, data.synonyms, class_names)
    splits = make_splits(without(found.manifest, overlaps), known, split)
    left_out = list(zip(overlaps["pool"], overlaps["class"], strict=True))
    check_splits(splits, found.manifest, unknown=data.unknown, left_out=left_out)
    pairs, complete = near_leakage(splits, found.manifest, distance=data.near_duplicate_distance)
    leaks = leakage_verdict(pairs, complete=complete, distance=data.near_duplicate_distance, fatal=CHECK in data.fatal)
    return Outcome(not leaks["success"], "\n".join(filter(None, [*said, leaks["line"]])), paths)


def any_of(root: Path, folder: str, number: int = 0) -> Path:
    return sorted((root / folder).iterdir())[number]


def copy(root: Path, source: str, target: str) -> None:
    """A file's bytes under another name."""
    (root / target).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(any_of(root, source), root / target)


def again(root: Path, source: str, target: str, count: int = 1) -> None:
    """A picture saved once more, a little smaller: other bytes, the same look."""
    (root / target).parent.mkdir(parents=True, exist_ok=True)
    with Image.open(any_of(root, source)) as image:
        for number in range(count):
            size = (image.width * 9 // 10 - number, image.height * 9 // 10)
            image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(root / target.format(number), quality=90)
