"""The images of a data root become the manifest: every file hashed and fully decoded once."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.listing import list_images
from pipeline.data.parts import read_parts
from pipeline.data.phash import perceptual_hash
from pipeline.errors import DataError
from pipeline.images import open_rgb
from pipeline.progress import Progress
from pipeline.tables import MANIFEST, REFUSED

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 20  # files that one error names; the rest are counted
_CHUNK = 4096  # images in flight: bounds the memory that queued work takes


def build_manifest(
    root: Path, *, min_side: int, max_pixels: int, workers: int, skip: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read every image below `root` and describe it.

    Args:
        root: holds domain/class/image, open_sets/pool/class/image beside them, and perhaps parts.csv; hidden files are
            left out.
        min_side: pixels; an image with a shorter side is refused.
        max_pixels: width x height above which an image is refused.
        workers: threads; decoding releases the interpreter lock.
        skip: go on without the files that are refused.
    Returns:
        The MANIFEST table and the REFUSED table, sorted by path.
    Raises:
        DataError: the folder is missing or empty, a folder lies at the wrong depth, is empty or has a name that
            cannot be used, or parts.csv is wrong. Without `skip`: a file lies at the wrong depth, is no image, is a
            link that leaves the folder, has a name that is not UTF-8, or is an image that is damaged, too small or too
            large (the first 20 are named). With `skip`: no image is left of a domain, or of a class of the domains.
    """
    import pandas as pd

    listing = list_images(root)
    parts = read_parts(root, listing)
    refused = list(listing.refused)
    if not skip:
        _fail(root, refused)
    rows: list[dict[str, Any]] = []

    def read(path: str) -> dict[str, Any] | str:
        try:
            return _describe(root, path, min_side=min_side, max_pixels=max_pixels)
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor(workers) as pool, Progress("ingest", len(listing.paths), "images") as progress:
        for start in range(0, len(listing.paths), _CHUNK):
            stop = start + _CHUNK
            chunk = listing.paths[start:stop]
            for path, part, row in zip(chunk, parts[start:stop], pool.map(read, chunk), strict=True):
                if isinstance(row, str):
                    refused.append((path, row.removeprefix(f"{path}: ")))
                else:
                    rows.append({**row, "part": part})
                progress.advance()
    refused.sort()
    if not skip:
        _fail(root, refused)
    manifest = pd.DataFrame(rows, columns=list(MANIFEST.columns)).astype(dict(MANIFEST.columns))
    return manifest, pd.DataFrame(refused, columns=list(REFUSED.columns)).astype(dict(REFUSED.columns))


def _fail(root: Path, refused: list[tuple[str, str]]) -> None:
    if refused:
        named = "; ".join(f"{path}: {problem}" for path, problem in refused[:_NAMED])
        more = f"; and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
        images = "image" if len(refused) == 1 else "images"
        raise DataError(
            f"{root}: {len(refused)} bad {images}; repair or remove, or set data.on_bad_image to skip: {named}{more}"
        )


def _describe(root: Path, path: str, *, min_side: int, max_pixels: int) -> dict[str, Any]:
    from PIL import Image

    try:
        content = (root / path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    rgb = open_rgb(content, max_pixels=max_pixels, name=path)
    if min(rgb.size) < min_side:
        raise DataError(f"{path}: {rgb.width} x {rgb.height} pixels, less than data.min_side ({min_side})")
    with Image.open(io.BytesIO(content)) as stored:  # the header only
        mode, format_ = stored.mode, stored.format
    *pool, folder, class_, _ = path.split("/")
    return {
        "path": path,
        "domain": "" if pool else folder,
        "class": class_,
        "pool": folder if pool else "",
        "sha256": hashlib.sha256(content).hexdigest(),
        "phash": perceptual_hash(rgb),
        "width": rgb.width,
        "height": rgb.height,
        "mode": mode,
        "format": format_,
        "bytes": len(content),
    }
