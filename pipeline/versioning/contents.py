"""What is in a version: DVC's listing of a folder, and counts by domain, pool and class."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.errors import DataError
from pipeline.images import SUFFIXES
from pipeline.progress import track
from pipeline.tables import OPEN_SETS

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
        return sum(sum(of_one.values()) for group in (self.domains, self.pools) for of_one in group.values())

    @property
    def classes(self) -> list[str]:
        """Of the domains, sorted."""
        return sorted({name for of_domain in self.domains.values() for name in of_domain})


def is_image(path: str) -> bool:
    """Whether this is an image of the layout; hidden files and the table of given splits are not."""
    parts = path.split("/")
    depth = 4 if parts[0] == OPEN_SETS else 3
    hidden = any(part.startswith(".") for part in parts)
    return len(parts) == depth and not hidden and PurePosixPath(path).suffix.lower() in SUFFIXES


def place(path: str) -> tuple[str, str]:
    """(domain, or open_sets/pool; class) of an image."""
    *above, class_, _ = path.split("/")
    return "/".join(above), class_


def count(paths: Iterable[str]) -> Counts:
    """Count the images among the paths."""
    counts = Counts()
    for path in filter(is_image, paths):
        where, class_ = place(path)
        pool = where.removeprefix(f"{OPEN_SETS}/")
        group, key = (counts.domains, where) if pool == where else (counts.pools, pool)
        group.setdefault(key, Counter())[class_] += 1
    return counts


def read_listing(path: Path) -> dict[str, str]:
    """Read a `.dir` object of DVC's cache: path to MD5, sorted by path.

    Raises:
        DataError: it is missing or is no such object.
    """
    try:
        items = json.loads(path.read_bytes())
        return dict(sorted((str(item["relpath"]), str(item["md5"])) for item in items))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: not a listing of DVC's; remove it and `dvc fetch` it again") from None


def hash_folder(folder: Path, *, workers: int) -> dict[str, str]:
    """MD5 of every file below a folder, sorted by path; for a workspace that DVC has no listing of.

    Raises:
        DataError: a file cannot be read.
    """
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def digest(path: str) -> str:
        try:
            with (folder / path).open("rb") as file:
                return hashlib.file_digest(file, md5).hexdigest()
        except OSError as error:
            raise DataError(f"{folder / path}: cannot be read: {error.strerror}") from None

    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(paths, track(pool.map(digest, paths), "hash", len(paths), "files"), strict=True))


def md5(content: bytes = b"") -> hashlib._Hash:
    """DVC's content hash: names files, protects nothing."""
    return hashlib.md5(content, usedforsecurity=False)
