"""The built-in data set: handwritten digits, each drawn in exactly one of four domains."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.builtin.handwriting import CLASS_NAMES, load
from pipeline.errors import DataError

SIZE = 64  # pixels
TOTAL = 1446  # images: all 1,797 but the 351 held back for the built-in CLIP


def assign_domains(labels: npt.NDArray[np.int64], domains: int, seed: int) -> npt.NDArray[np.int64]:
    """Give every image one domain so that each class is spread over the domains as evenly as possible.

    Args:
        labels: (N,) class of each image.
        domains: number of domains.
        seed: any integer >= 0.
    Returns:
        (N,) int64 in [0, domains); for each class the counts of two domains differ by at most 1.
    """
    chosen = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        rows = np.random.default_rng([seed, int(label)]).permutation(np.flatnonzero(labels == label))
        chosen[rows] = (np.arange(len(rows)) + label) % domains  # the remainder of a class falls on another domain
    return chosen


def draw_all(seed: int) -> Iterator[tuple[str, str, int, npt.NDArray[np.uint8]]]:
    """Draw the whole data set, one image at a time.

    Args:
        seed: decides each image's domain, pose and colours.
    Returns:
        An iterator over (domain, class name, source index, (64, 64, 3) uint8).
    """
    from pipeline.builtin.digits.strokes import place
    from pipeline.builtin.digits.styles import STYLES

    digits = load("dataset")
    names = list(STYLES)
    chosen = assign_domains(digits.labels, len(names), seed)
    for image, label, index, domain in zip(digits.images, digits.labels, digits.indices, chosen, strict=True):
        rng = np.random.default_rng([seed, 1000, int(index)])
        picture = STYLES[names[domain]](place(image, SIZE, rng), rng)
        yield names[domain], CLASS_NAMES[label], int(index), np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def write(out: Path, seed: int = 0) -> int:
    """Write the data set as `out/<domain>/<class>/<source index>.png`; the same seed gives the same bytes.

    The folder appears whole or not at all: it is built beside `out` and renamed.

    Args:
        out: folder to make; a former one is replaced.
        seed: see `draw_all`.
    Returns:
        Number of images written.
    Raises:
        DataError: `out` is a file.
    """
    from PIL import Image

    from pipeline.progress import track

    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder for the digits, found a file; remove it or choose another path")
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    building.chmod(0o755)  # mkdtemp gives 0700, which would keep other users out of the data
    count = 0
    try:
        for domain, name, index, picture in track(draw_all(seed), "digits", TOTAL, "images"):
            folder = building / domain / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{index:04d}.png")
            count += 1
        if out.exists():
            former = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
            os.replace(out, former / out.name)
            os.replace(building, out)
            shutil.rmtree(former)
        else:
            os.replace(building, out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return count
