"""One line for each data set: its version, what it holds, and where its files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.dvc_runner.cache import Cache
from pipeline.errors import DataError
from pipeline.versioning.contents import Counts, count
from pipeline.versioning.names import FOLDER, Reference
from pipeline.versioning.resolve import Snapshot, resolve


@dataclass(frozen=True)
class Overview:
    """A data set at a glance.

    Attributes:
        snapshot: its present version.
        counts: by domain, pool and class; None where the listing is not in the cache.
        places: where its files are: workspace, cache, remote (where that was asked).
        used: whether params.yaml uses it.
    """

    snapshot: Snapshot
    counts: Counts | None
    places: tuple[str, ...]
    used: bool


def overview(root: Path, name: str, cache: Cache, *, used: str, lacks: bool | None = None) -> Overview:
    """Look at one data set.

    Args:
        root: the project.
        name: of a data set under DVC.
        cache: DVC's.
        used: data.root of params.yaml.
        lacks: whether the remote lacks a part of it; None where that was not asked.
    Raises:
        DataError: its .dvc file or its list of versions is damaged.
    """
    snapshot = resolve(root, Reference(name))
    try:
        counts = count(snapshot.files(cache))
    except DataError:
        counts = None
    places = [
        *(["workspace"] if (root / FOLDER / name).is_dir() else []),
        *(["cache"] if counts else []),
        *(["remote"] if lacks is False else []),
    ]
    return Overview(snapshot, counts, tuple(places), used=Path(used) == FOLDER / name)
