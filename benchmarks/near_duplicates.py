"""How far apart the perceptual hashes of different pictures are, and of one picture that was saved again.

    python -m benchmarks.near_duplicates FOLDER ...

Each FOLDER holds images at any depth. What it found on photographs and on the built-in digits, and which distance was
chosen by it, is in docs/data-quality.md.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from pipeline.data.near import parse_hashes
from pipeline.data.phash import perceptual_hash
from pipeline.images import SUFFIXES, open_rgb

DISTANCES = (0, 2, 4, 6)


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    width, height = (max(16, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, share: float) -> Image.Image:
    x, y = (max(1, round(side * share)) for side in image.size)
    return image.crop((x, y, image.width - x, image.height - y))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 50": lambda image: _jpeg(image, 50),
    "half the size": lambda image: _scaled(image, 0.5),
    "twice the size": lambda image: _scaled(image, 2.0),
    "10 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "1 % cut off each side": lambda image: _cropped(image, 0.01),
    "3 % cut off each side": lambda image: _cropped(image, 0.03),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def saved_again(images: list[Image.Image]) -> dict[str, list[float]]:
    """For each change, the share of images whose hash moves by at most each of DISTANCES."""
    hashes = parse_hashes([perceptual_hash(image) for image in images])
    moved = {
        name: np.bitwise_count(hashes ^ parse_hashes([perceptual_hash(change(image)) for image in images]))
        for name, change in CHANGES.items()
    }
    return {name: [float(np.mean(bits <= distance)) for distance in DISTANCES] for name, bits in moved.items()}


def pairs_within(images: list[Image.Image]) -> list[int]:
    """How many pairs of different images are within each of DISTANCES."""
    hashes = parse_hashes([perceptual_hash(image) for image in images])
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None, :])[np.triu_indices(len(hashes), 1)]
    return [int(np.sum(bits <= distance)) for distance in DISTANCES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+")
    for folder in parser.parse_args().folder:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        images = [open_rgb(path, max_pixels=100_000_000) for path in files]
        print(f"\n{folder.name}, {len(images)} images | " + " | ".join(f"≤ {bits} bits" for bits in DISTANCES))
        print("pairs of different images | " + " | ".join(str(count) for count in pairs_within(images)))
        for name, shares in saved_again(images).items():
            print(f"{name} | " + " | ".join(f"{share:.3f}" for share in shares))


if __name__ == "__main__":
    main()
