"""parts.csv of a data set: the splits that came with its images, merged over successive additions."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.data.parts import COLUMNS
from pipeline.tables import PARTS_FILE, atomic_path


def merge_parts(old: Mapping[str, str], new: Mapping[str, str], kept: Iterable[str]) -> dict[str, str]:
    """Parts of the next state, sorted by path.

    Args:
        old: path to part as the data set says now.
        new: the same of the source, which overrides `old` where it names a path, also as free ("").
        kept: paths of the next state; others are dropped.
    """
    merged = {**old, **new}
    return {path: merged[path] for path in sorted(set(kept)) if merged.get(path)}


def write_parts(parts: Mapping[str, str], folder: Path) -> None:
    """Write the table."""
    with atomic_path(folder / PARTS_FILE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *parts.items()])
