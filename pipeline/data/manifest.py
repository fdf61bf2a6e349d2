"""The images of a data root become the manifest: every file hashed and fully decoded once."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.listing import list_images
from pipeline.data.phash import perceptual_hash
from pipeline.errors import DataError
from pipeline.images import open_rgb
from pipeline.progress import Progress
from pipeline.tables import MANIFEST

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 5  # bad images that one error names; the rest are counted
_CHUNK = 4096  # images in flight: bounds the memory that queued work takes


def build_manifest(root: Path, *, min_side: int, max_pixels: int, workers: int) -> pd.DataFrame:
    """Read every image below `root` and describe it.

    Args:
        root: holds domain/class/image, and open_sets/pool/class/image beside them; hidden files are left out.
        min_side: pixels; an image with a shorter side is refused.
        max_pixels: width x height above which an image is refused.
        workers: threads; decoding releases the interpreter lock.
    Returns:
        MANIFEST table, sorted by path.
    Raises:
        DataError: the folder is missing or empty, a file lies at the wrong depth or is no image, a link leaves the
            folder, a class folder is empty, a name is not UTF-8, or images are damaged, too small or too large (the
            first 5 are named).
    """
    import pandas as pd

    listing = list_images(root)
    if listing.refused:
        path, problem = listing.refused[0]
        raise DataError(f"{root / path}: {problem}")
    paths = listing.paths
    rows: list[dict[str, Any]] = []
    bad: list[str] = []

    def read(path: str) -> dict[str, Any] | str:
        try:
            return _describe(root, path, min_side=min_side, max_pixels=max_pixels)
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor(workers) as pool, Progress("ingest", len(paths), "images") as progress:
        for start in range(0, len(paths), _CHUNK):
            for row in pool.map(read, paths[start : start + _CHUNK]):
                if isinstance(row, str):
                    bad.append(row)
                else:
                    rows.append(row)
                progress.advance()
    if bad:
        more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        images = "image" if len(bad) == 1 else "images"
        raise DataError(f"{root}: {len(bad)} bad {images}; repair or remove: {'; '.join(bad[:_NAMED])}{more}")
    return pd.DataFrame(rows, columns=list(MANIFEST.columns)).astype(dict(MANIFEST.columns))


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
