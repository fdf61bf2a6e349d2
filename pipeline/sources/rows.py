"""Rows of any listing become a source: checked, named, found on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError, ParamsError
from pipeline.sources.entry import Entry, Source
from pipeline.sources.paths import Below, file_names, refuse
from pipeline.tables import OPEN_SETS, PARTS

_PARTS = {"validation": "val", "valid": "val", "crossval": "val", "training": "train", "testing": "test"}


@dataclass(frozen=True, slots=True)
class Row:
    """One listed image; `where` is its line or position, for messages."""

    where: str
    path: str
    name: str  # of the class
    domain: str = ""
    part: str = ""
    pool: str = ""  # of the open set


def rows_source(
    path: Path,
    kind: str,
    rows: Sequence[Row],
    *,
    root: Path,
    name: str,
    domain: str | None,
    open_set: str | None,
    notes: list[str],
    warnings: list[str],
) -> Source:
    """Every row is looked up before the first image is handed out.

    Args:
        path, kind, notes, warnings: of the source.
        rows: at least one.
        root: the folder that paths are relative to, and may not leave.
        name: the domain of rows that have none, where `domain` is not given.
        domain: the domain of all rows.
        open_set: the open set of all rows.
    Raises:
        DataError: rows whose path leaves the folder or is no file, or whose part is unknown; the first 5 are named.
        ParamsError: no domain is known.
    """
    if not rows:
        raise DataError(f"{path}: lists no image")
    own = sum(1 for row in rows if row.domain)
    if domain and own:
        raise ParamsError(f"{path}: names domains itself, so the domain {domain!r} cannot be given")
    fallback = domain or name
    if not fallback and not open_set and any(not row.domain and not row.pool for row in rows):
        raise ParamsError(f"{path}: names no domain; give the domain's name")
    below, problems, found = Below(root), [], []
    for row in rows:
        file, problem = below.find(row.path)
        part = _PARTS.get(row.part.lower(), row.part.lower())
        if not problem and part not in ("", *PARTS):
            problem = f"part {row.part!r} is none of {', '.join(PARTS)}"
        if file is None or problem:
            problems.append(f"{row.where}: {row.path!r}: {problem}")
            continue
        pool = open_set or row.pool
        folder = f"{OPEN_SETS}/{pool}/{row.name}" if pool else f"{row.domain or fallback}/{row.name}"
        found.append((folder, row, file, "" if pool else part))
    refuse(path, problems)
    names = file_names((folder, row.path) for folder, row, _, _ in found)
    numbers = sorted({row.name for row in rows if row.name.isdigit()}, key=int)
    if len(numbers) == len({row.name for row in rows}):
        warnings.append(
            f"classes are numbers, {numbers[0]} to {numbers[-1]}, which tell a prompt nothing; set backbone.class_names"
            + (" (they begin with 1, so they are no indices from 0)" if numbers[0] == "1" else "")
        )

    def walk() -> Iterator[Entry]:
        for folder, row, file, part in found:
            yield Entry(f"{folder}/{names[row.path]}", f"{path}: {row.where}: {row.path}", file=file, part=part)

    return Source(path=path, kind=kind, walk=walk, notes=notes, warnings=warnings)


def check_labels(path: Path, pairs: Sequence[tuple[str, int, str]]) -> list[str]:
    """Sentences about labels, which are not used: a class's name is what counts.

    Args:
        path: of the listing.
        pairs: (where, label, class name) of each row.
    Raises:
        DataError: one label has two names, or one name two labels; both rows are named.
    """
    by_label: dict[int, tuple[str, str]] = {}
    by_name: dict[str, tuple[str, int]] = {}
    for where, label, name in pairs:
        before = by_label.setdefault(label, (where, name))
        if before[1] != name:
            raise DataError(f"{path}: label {label} is {before[1]!r} in {before[0]} and {name!r} in {where}")
        other = by_name.setdefault(name, (where, label))
        if other[1] != label:
            raise DataError(f"{path}: {name!r} has label {other[1]} in {other[0]} and {label} in {where}")
    first, last = min(by_label), max(by_label)
    missing = sorted(set(range(first, last + 1)) - set(by_label))
    start = ", from 1 and not from 0" if first == 1 else ""
    notes = [f"labels {first} to {last}{start}; classes go by their names, labels are not used"]
    if missing:
        notes.append(f"labels that no image has: {', '.join(map(str, missing[:10]))}{', ...' if missing[10:] else ''}")
    return notes
