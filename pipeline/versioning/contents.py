"""What is in a version: DVC's listing of a folder, and counts by domain, pool and class."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.layout import Place, is_hidden, parse_place
from pipeline.dvc_runner.cache import Cache
from pipeline.errors import DataError
from pipeline.progress import track

Files = Mapping[str, str]
"""Path relative to the data set, POSIX separators, to the MD5 of the file's bytes, as DVC lists them."""


@dataclass(frozen=True)
class Counts:
    """Images by domain (or pool) and class."""

    domains: dict[str, Counter[str]] = field(default_factory=dict)
    pools: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """All of them, pools included."""
        return sum(classes.total() for group in (self.domains, self.pools) for classes in group.values())

    @property
    def classes(self) -> list[str]:
        """Of the domains, sorted."""
        return sorted({name for classes in self.domains.values() for name in classes})


def image_place(path: str) -> Place | None:
    """Where an image of the layout belongs; None for every other file, such as a hidden one or parts.csv.

    A class folder holds nothing but images: adding a data set and ingest refuse any other file.
    """
    place = parse_place(path)
    return None if place is None or any(map(is_hidden, place)) else place


def count(paths: Iterable[str]) -> Counts:
    """Count the images among the paths."""
    counts = Counts()
    for place in filter(None, map(image_place, paths)):
        group, key = (counts.pools, place.pool) if place.pool else (counts.domains, place.domain)
        group.setdefault(key, Counter())[place.class_] += 1
    return counts


def read_listing(path: Path) -> dict[str, str]:
    """Read a `.dir` object of DVC's cache: path to MD5, sorted by path.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        items = json.loads(path.read_bytes())
        return dict(sorted((str(item["relpath"]), str(item["md5"])) for item in items))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: not a DVC listing; remove it and run `dvc fetch`") from None


def listed(cache: Cache, md5: str) -> dict[str, str] | None:
    """`read_listing` of what DVC's cache keeps under this hash; None where the cache lacks it."""
    path = cache.object(md5)
    return read_listing(path) if path.is_file() else None


def hash_folder(folder: Path, *, workers: int) -> dict[str, str]:
    """MD5 of every file below a folder, sorted by path; for a workspace without a DVC listing.

    Raises:
        DataError: a file cannot be read.
    """
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def digest(path: str) -> str:
        try:
            return file_md5(folder / path)
        except OSError as error:
            raise DataError(f"{folder / path}: cannot be read: {error.strerror}") from None

    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(paths, track(pool.map(digest, paths), "hash", len(paths), "files"), strict=True))


def file_md5(path: Path) -> str:
    """`md5` of a file's bytes; OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, md5).hexdigest()


def md5(content: bytes = b"") -> hashlib._Hash:
    """DVC's content hash; it identifies files and is not meant for security."""
    return hashlib.md5(content, usedforsecurity=False)
