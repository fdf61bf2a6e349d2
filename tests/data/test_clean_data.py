"""Clean data and odd but sound images pass ingest, the gate and the split in silence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gated_set import check, picture, write_set
from PIL import Image


@pytest.mark.parametrize("seed", range(20))
def test_clean_data_raise_nothing(tmp_path: Path, seed: int) -> None:
    write_set(tmp_path / "set", 100 + seed, each=4 + seed % 3)
    outcome = check(tmp_path / "set", tmp_path / "docs")
    assert (outcome.stops, outcome.said) == (False, "")
    assert len(outcome.paths) == 8 * (4 + seed % 3)


def odd(path: Path, rng: np.random.Generator, mode: str, **options: Any) -> None:
    picture(rng).convert(mode).save(path, **options)


def sixteen_bits(path: Path, rng: np.random.Generator) -> None:
    Image.fromarray(np.asarray(picture(rng).convert("L"), dtype=np.uint16) * 257).save(path)


def turned(path: Path, rng: np.random.Generator) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    odd(path, rng, "RGB", exif=exif)


def animated(path: Path, rng: np.random.Generator) -> None:
    odd(path, rng, "RGB", save_all=True, append_images=[picture(rng)])


HANDLED: dict[str, tuple[str, Callable[[Path, np.random.Generator], None]]] = {
    "CMYK": ("x.jpg", lambda p, r: odd(p, r, "CMYK")),
    "16 bits": ("x.png", sixteen_bits),
    "grey with transparency": ("x.png", lambda p, r: odd(p, r, "LA")),
    "palette with transparency": ("x.png", lambda p, r: odd(p, r, "P", transparency=bytes([255] * 256))),
    "turned by EXIF": ("x.jpg", turned),
    "animated": ("x.webp", animated),
    "PNG called JPEG": ("x.jpg", lambda p, r: odd(p, r, "RGB", format="PNG")),
    "name of other letters": ("写真 ß, 'x'.png", lambda p, r: odd(p, r, "RGB")),
}


def test_odd_images_pass_in_silence(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_set(root, 0)
    for number, (kind, (name, write)) in enumerate(HANDLED.items()):
        file = root / "ink/cat" / f"{kind} {name}"
        write(file, np.random.default_rng(70 + number))
    outcome = check(root, tmp_path / "docs")
    assert (outcome.stops, outcome.said) == (False, "")
    assert {f"ink/cat/{kind} {name}" for kind, (name, _) in HANDLED.items()} <= set(outcome.paths)


@pytest.mark.skipif("CROFT_REAL_DATA" not in os.environ, reason="CROFT_REAL_DATA names no folder of real images")
def test_photographs_and_drawings_raise_nothing(tmp_path: Path) -> None:
    given = Path(os.environ["CROFT_REAL_DATA"])
    root = tmp_path / "set"
    shutil.copytree(given / "pacs-mini", root)
    for pool in ("dtd", "caltech101"):
        shutil.copytree(given / f"{pool}-mini", root / "open_sets" / pool)
    outcome = check(root, tmp_path / "docs", unknown=("guitar",), max_pixels=50_000_000)
    assert (outcome.stops, outcome.said) == (False, "")
    assert len(outcome.paths) == 1008
