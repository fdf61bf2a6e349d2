"""A folder `domain/class/image` becomes the manifest: every file hashed and fully decoded once."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.images import SUFFIXES, open_rgb
from pipeline.progress import Progress
from pipeline.tables import DEPLOY, MANIFEST, MEAN

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 5  # bad images that one error names; the rest are counted
_CHUNK = 4096  # images in flight: bounds the memory that queued work takes


def build_manifest(root: Path, *, min_side: int, max_pixels: int, workers: int) -> pd.DataFrame:
    """Read every image below `root` and describe it.

    Args:
        root: holds `domain/class/image`; hidden files and folders are left out.
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

    paths = list_images(root)
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


def list_images(root: Path) -> list[str]:
    """Paths of all images relative to `root`, POSIX separators, sorted; nothing is decoded.

    Raises:
        DataError: as `build_manifest`, for everything that names and folders alone can tell.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder of images; make the built-in one with `dvc repro`, fetch yours with `dvc pull`, "
            "or set data.root"
        )
    inside = root.resolve()
    domains = [entry for entry in _entries(root, inside) if _is_folder(entry, root, "domain/class/image")]
    if not domains:
        raise DataError(f"{root}: holds no folders; expected domain/class/image")
    paths: list[str] = []
    for domain in domains:
        if domain.name in (DEPLOY, MEAN):
            raise DataError(
                f"{domain.path}: a domain cannot be called {domain.name!r}, which stands for all domains; rename it"
            )
        classes = [entry for entry in _entries(domain, inside) if _is_folder(entry, root, "domain/class/image")]
        if not classes:
            raise DataError(f"{domain.path}: a domain without class folders; expected domain/class/image")
        for class_ in classes:
            images = [entry.name for entry in _entries(class_, inside) if _is_image(entry)]
            if not images:
                raise DataError(f"{class_.path}: a class folder without images; add some or remove it")
            paths += [f"{domain.name}/{class_.name}/{name}" for name in images]
    return sorted(paths)


def _entries(folder: Path | os.DirEntry[str], inside: Path) -> Iterator[os.DirEntry[str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{os.fspath(folder)!r}: cannot be listed: {error.strerror}") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            entry.name.encode("utf-8")
        except UnicodeEncodeError:
            raise DataError(f"{os.fsencode(entry.path)!r}: the name is not UTF-8; rename it") from None
        # every link is resolved, so a link inside that leads out through another one is seen too
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(inside):
            raise DataError(
                f"{entry.path}: a link that leaves {inside.name}; put the file itself there (DVC: cache.type copy)"
            )
        yield entry


def _is_folder(entry: os.DirEntry[str], root: Path, layout: str) -> bool:
    if entry.is_dir():
        return True
    raise DataError(f"{entry.path}: a file at the wrong depth; below {root} expected {layout}")


def _is_image(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir():
        raise DataError(f"{entry.path}: a folder inside a class folder; expected domain/class/image")
    if Path(entry.name).suffix.lower() not in SUFFIXES:
        raise DataError(
            f"{entry.path}: not an image file; expected {', '.join(SUFFIXES)}; remove it or hide it with a dot"
        )
    return True


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
    domain, class_, _ = path.split("/")
    return {
        "path": path,
        "domain": domain,
        "class": class_,
        "sha256": hashlib.sha256(content).hexdigest(),
        "width": rgb.width,
        "height": rgb.height,
        "mode": mode,
        "format": format_,
        "bytes": len(content),
    }
