"""parts.csv and groups.csv of a data set: what came with its images, merged over successive additions."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.data.given import Given
from pipeline.tables import atomic_path


def merge_given(old: Mapping[str, str], new: Mapping[str, str], kept: Iterable[str]) -> dict[str, str]:
    """Values of the next state, sorted by path.

    Args:
        old: path to value as the data set says now.
        new: the same of the source, which overrides `old` where it names a path, also as none ("").
        kept: paths of the next state; others are dropped.
    """
    merged = {**old, **new}
    return {path: merged[path] for path in sorted(set(kept)) if merged.get(path)}


def write_given(values: Mapping[str, str], folder: Path, given: Given) -> None:
    """Write the file of a column."""
    with atomic_path(folder / given.file) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([given.columns, *values.items()])
