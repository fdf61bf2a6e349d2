"""parts.csv of a data set: the splits that came with its images, joined over what is added in turn."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.errors import DataError
from pipeline.tables import PARTS_FILE, atomic_path

_COLUMNS = ("path", "part")


def read_given(folder: Path) -> dict[str, str]:
    """Path to part, as the data set's folder says; {} without the file. `ingest` checks what it says.

    Raises:
        DataError: the file is no such table.
    """
    path = folder / PARTS_FILE
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return {row["path"]: row["part"] for row in csv.DictReader(file, strict=True)}
    except FileNotFoundError:
        return {}
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not a table of {','.join(_COLUMNS)} ({error}); repair or remove it") from None


def merge_given(old: Mapping[str, str], new: Mapping[str, str], kept: Iterable[str]) -> dict[str, str]:
    """Parts of the next state, sorted by path.

    Args:
        old: path to part as the data set says now.
        new: the same of the source, which knows better where it names a path, also as free ("").
        kept: paths of the next state; others are dropped.
    """
    merged = {**old, **new}
    return {path: merged[path] for path in sorted(set(kept)) if merged.get(path)}


def write_given(parts: Mapping[str, str], folder: Path) -> None:
    """Write the table."""
    with atomic_path(folder / PARTS_FILE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([_COLUMNS, *parts.items()])
