"""The images that paths name, one after the other and never all at once: files, folders and listings."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from pipeline.data.layout import is_hidden
from pipeline.errors import DataError
from pipeline.images import is_image
from pipeline.sources.encodings import check_utf8, not_utf8

TABLE, LINES = ".csv", ".txt"
TITLES = ("path", "image", "file_name")
"""Of the column of a table that names the files, in small letters; the first that the table has counts."""

_DEEPEST = 32  # levels of folders
_LONGEST = 10_000  # characters of a line or a field; a path is shorter


class Found(NamedTuple):
    """One image, or a place that cannot be looked into.

    Attributes:
        path: as it was given or listed, with the folder it was found in.
        problem: why there is nothing to read; "" for a file to be decoded.
    """

    path: str
    problem: str = ""


def check_paths(paths: Sequence[Path]) -> None:
    """Refuse paths that name nothing, and listings that cannot be read, before any work starts.

    Raises:
        DataError: naming the first.
    """
    for path in paths:
        if not os.path.lexists(path):
            raise DataError(f"{path}: no such file or folder")
        if is_listing(path):
            check_utf8(path)
            next(find([path]), None)


def is_listing(path: Path) -> bool:
    """Whether a path is a file that names images, one a line (.txt) or in a column of a table (.csv)."""
    return path.suffix.lower() in (TABLE, LINES) and path.is_file()


def find(paths: Sequence[Path], *, without: Path | None = None) -> Iterator[Found]:
    """Every image that the paths name; a folder's are in the order of its file system, which needs no memory.

    A file that is named is taken whatever it holds. Of a folder, hidden files, and files that are no images by their
    ending or first bytes, are passed over. A link to a file counts as the file; a link to a folder is not followed, so
    that no folder is read twice.

    Args:
        paths: files, folders, and listings: a .txt with a path a line, or a .csv with a column of TITLES. Their
            relative paths start at the listing's folder.
        without: a folder that is not looked into.
    Raises:
        DataError: a listing is not text, not a table, or lacks its column.
    """
    kept_out = without.stat() if without is not None and without.is_dir() else None
    for path in paths:
        if is_listing(path):
            yield from (Found(os.path.join(path.parent, name)) for name in _listed(path))
        elif path.is_dir():
            yield from _walk(str(path), 0, kept_out)
        else:
            yield Found(str(path))


def count(paths: Sequence[Path], *, without: Path | None = None) -> int:
    """How many `find` yields: a walk of its own, so that progress has an end without a list in memory."""
    return sum(1 for _ in find(paths, without=without))


def _walk(folder: str, depth: int, kept_out: os.stat_result | None) -> Iterator[Found]:
    if depth > _DEEPEST:
        yield Found(folder, f"more than {_DEEPEST} levels of folders; name a folder further down")
        return
    inner: list[str] = []  # after the files, so that one folder at a time is open
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if kept_out is None or not os.path.samestat(entry.stat(follow_symlinks=False), kept_out):
                        inner.append(entry.name)
                elif not (entry.is_symlink() and entry.is_dir()) and is_image(Path(entry.path)):
                    yield Found(entry.path)
    except OSError as error:
        yield Found(folder, f"cannot be listed: {error.strerror}")
    for name in sorted(inner):
        yield from _walk(os.path.join(folder, name), depth + 1, kept_out)


def _listed(path: Path) -> Iterator[str]:
    table = path.suffix.lower() == TABLE
    try:
        # `find > list.txt` writes names as their bytes are; a table is text.
        errors = "strict" if table else "surrogateescape"
        with path.open(encoding="utf-8-sig", errors=errors, newline="" if table else None) as file:
            yield from _column(path, file) if table else _lines(path, file)
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except csv.Error as error:
        raise DataError(f"{path}: not valid CSV: {error}") from None


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(_LONGEST):
        number += 1
        if len(line) >= _LONGEST:
            raise DataError(f"{path}: line {number}: longer than {_LONGEST:,} characters; expected a path a line")
        if name := line.rstrip("\n"):
            yield name


def _column(path: Path, file: TextIO) -> Iterator[str]:
    first = file.readline(_LONGEST)
    file.seek(0)
    reader = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
    titles = [title.strip().lower() for title in next(reader, [])]
    index = next((titles.index(title) for title in TITLES if title in titles), None)
    if index is None:
        raise DataError(
            f"{path}: no column of paths; expected one of {', '.join(TITLES)} in the first line; a list of paths alone "
            "belongs into a .txt"
        )
    for fields in reader:
        if fields and len(fields) != len(titles):
            raise DataError(f"{path}: line {reader.line_num}: expected {len(titles)} fields, found {len(fields)}")
        if fields and fields[index]:
            yield fields[index]
