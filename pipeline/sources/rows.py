"""Rows of any listing become a source: checked, named, found on disk."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.data.given import group_problem, part_problem
from pipeline.data.layout import class_folder, printable
from pipeline.data.listing import entries
from pipeline.data.parts import plain_part
from pipeline.errors import DataError, ParamsError
from pipeline.images import is_image
from pipeline.phrases import shorten
from pipeline.sources.entry import Entry, Source
from pipeline.sources.options import SourceOptions
from pipeline.sources.paths import Below, file_names, image_root
from pipeline.sources.tree import Kind

_NAMED = 5  # bad rows that an error names
_MISSING = 10  # missing labels that a note names


@dataclass(frozen=True, slots=True)
class Row:
    """One listed image; `where` is its line or position, for messages."""

    where: str
    path: str
    name: str  # of the class
    domain: str = ""
    part: str = ""
    pool: str = ""  # of the open set
    group: str = ""


def rows_source(
    path: Path, kind: str, rows: Sequence[Row], options: SourceOptions, name: str, notes: list[str]
) -> Source:
    """Every row is checked, and its file looked up, before the first image is handed out.

    Args:
        path: of the listing.
        kind: of the source.
        rows: at least one; in their paths, backslashes separate folders as on Windows.
        options: the domain or open set of all rows, and the folder that paths are relative to and may not leave.
        name: the domain of rows that have none, where the options name none.
        notes: of the source.
    Raises:
        DataError: rows whose path leaves the folder or is no file, whose part is unknown, or whose group has no valid
            name; the first 5 are named.
        ParamsError: no domain is known.
    """
    if not rows:
        raise DataError(f"{path}: lists no images")
    if options.domain and any(row.domain for row in rows):
        raise ParamsError(f"--domain {options.domain}: {path} names domains itself; remove --domain")
    fallback = options.domain or name
    if not fallback and not options.open_set and any(not row.domain and not row.pool for row in rows):
        raise ParamsError(f"{path}: names no domain; name it with --domain")
    # no image's name can hold a backslash (`layout.name_problem`)
    paths = [row.path.replace("\\", "/") for row in rows]
    files = Below(image_root(path, paths, options.images))
    problems: list[str] = []
    images: list[tuple[str, Row, str, Path, str]] = []
    for row, written in zip(rows, paths, strict=True):
        relative, file, problem = files.locate(written)
        part = plain_part(row.part)
        problem = problem or part_problem(part) or group_problem(row.group)
        if file is None or problem:
            problems.append(f"{row.where}: {row.path!r}: {problem}")
            continue
        pool = options.open_set or row.pool
        folder = class_folder(row.name, domain=row.domain or fallback, pool=pool)
        images.append((folder, row, relative, file, "" if pool else part))
    if problems:
        raise DataError(f"{path}: {shorten(problems, _NAMED, separator='; ')}")
    if any("\\" in row.path for _, row, _, _, _ in images):
        notes.append("backslashes in paths are taken as separators of folders")
    names = file_names((folder, relative) for folder, _, relative, _, _ in images)

    def walk() -> Iterator[Entry]:
        for folder, row, relative, file, part in images:
            target, origin = f"{folder}/{names[relative]}", f"{path}: {row.where}: {row.path}"
            yield Entry(target, origin, file=file, part=part, group=row.group)

    return Source(path, kind, walk, notes, _number_warnings({row.name for row in rows}))


def leaving_out(source: Source, names: Mapping[str, Sequence[str]]) -> Source:
    """The same source, whose report also counts what it leaves out.

    Args:
        source: of any kind.
        names: of files or images, by reason as in `LeftOut.add`.
    """

    def walk() -> Iterator[Entry]:
        yield from source.walk()
        for reason in names:
            for name in names[reason]:
                source.left_out.add(reason, printable(name))

    return replace(source, walk=walk)


def unlisted(
    source: Source, folders: Iterable[Path], reason: str, tables: Collection[Path] = ()
) -> dict[str, list[str]]:
    """Files in the folders of a listing that it does not name, but for hidden ones.

    Args:
        source: of the listing.
        folders: that hold its images.
        reason: why such an image is left out.
        tables: files of the listing itself.
    Returns:
        Paths relative to their folder, sorted: of images by `reason`, of other files by that of Kind.OTHER.
    """
    listed = {str(entry.file) for entry in source.walk()} | {os.path.realpath(table) for table in tables}
    names: dict[str, list[str]] = {reason: [], Kind.OTHER.value: []}
    for folder in (folder.resolve() for folder in folders if folder.is_dir()):
        for file in _files(folder):
            if os.path.realpath(file) not in listed:
                names[reason if is_image(file) else Kind.OTHER.value].append(file.relative_to(folder).as_posix())
    return {why: sorted(files) for why, files in names.items()}


def _files(folder: Path) -> Iterator[Path]:
    for entry in entries(folder):
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _number_warnings(classes: set[str]) -> list[str]:
    if not all(name.isdigit() for name in classes):
        return []
    numbers = sorted(classes, key=int)
    start = " (they begin with 1, so they are no indices from 0)" if numbers[0] == "1" else ""
    return [
        f"classes are numbers, {numbers[0]} to {numbers[-1]}, which mean nothing in a prompt; set "
        f"backbone.class_names{start}"
    ]


def check_labels(path: Path, pairs: Sequence[tuple[str, int, str]]) -> list[str]:
    """Notes on labels, which are checked but not used: classes go by their names.

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
    start = ", counted from 1 rather than 0" if first == 1 else ""
    notes = [f"labels {first} to {last}{start}; not used, since classes go by their names"]
    if missing:
        notes.append(f"labels without images: {shorten([str(label) for label in missing], _MISSING)}")
    return notes
