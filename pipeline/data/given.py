"""What files at the data root say of its images: parts.csv gives them a part, groups.csv a group."""

from __future__ import annotations

import csv
import os
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.data.layout import printable
from pipeline.data.listing import Listing
from pipeline.errors import DataError
from pipeline.tables import GROUPS_FILE, PARTS, PARTS_FILE

_MAX_BYTES = 256 * 2**20  # a million lines of 256 bytes; anything larger is a mistake
_MAX_GROUP = 200  # characters


@dataclass(frozen=True)
class Given:
    """A column that a file at the data root gives its images: CSV with the columns path and `title`.

    Attributes:
        title: of the column, in the file as in the manifest.
        file: its name.
        problem: why a text is no value; "" for a value, and for "", which stands for none.
    """

    title: str
    file: str
    problem: Callable[[str], str]

    @property
    def columns(self) -> tuple[str, str]:
        """The titles of the file."""
        return ("path", self.title)


def part_problem(part: str) -> str:
    """Why this is no part; "" for one of PARTS and for "" (free)."""
    return "" if part in ("", *PARTS) else f"unknown part {part!r}; expected {', '.join(PARTS)}"


def group_problem(group: str) -> str:
    """Why a group cannot have this name; "" for a name and for "" (an image that is alone)."""
    if len(group) > _MAX_GROUP:
        return f"the group {group[:20]!r}... has {len(group)} characters; expected at most {_MAX_GROUP}"
    if group != printable(group):
        return f"the group {printable(group)!r} holds a control character or is not UTF-8; rename it"
    if group != group.strip():
        return f"the group {group!r} begins or ends with a space; remove it"
    return ""


PART = Given("part", PARTS_FILE, part_problem)
GROUP = Given("group", GROUPS_FILE, group_problem)
GIVEN = (PART, GROUP)


def read_given(root: Path, listing: Listing, given: Given) -> list[str]:
    """What the file gives each image of a data root.

    Args:
        root: of the data.
        listing: what it holds.
        given: the column.
    Returns:
        A value for each of listing.paths; "" where the file does not name the image.
    Raises:
        DataError: as `given_rows`; or a line, which is named, holds no path of an image of the root, or a path that an
            earlier line holds.
    """
    file, values = root / given.file, [""] * len(listing.paths)
    refused: set[str] | None = None
    for line, path, value in given_rows(root, given):
        position = bisect_left(listing.paths, path)
        if position == len(values) or listing.paths[position] != path:
            refused = {path for path, _ in listing.refused} if refused is None else refused
            if path in refused:
                continue
            raise DataError(f"{file}: line {line}: {path!r} is no image below {root}")
        if values[position]:
            raise DataError(f"{file}: line {line}: {path!r} is listed in an earlier line too; remove one of the two")
        values[position] = value
    return values


def given_rows(root: Path, given: Given) -> Iterator[tuple[int, str, str]]:
    """(line, path, value) of each row of the file; nothing without the file.

    The file is UTF-8 with the columns path (relative to root, POSIX separators) and given.title.

    Args:
        root: of the data.
        given: the column.
    Raises:
        DataError: the file cannot be read, is too large, or is a link that leaves the root; or one of its lines, which
            is named, holds a path that leaves the root, no value or none that the column can have.
    """
    file = root / given.file
    if not os.path.lexists(file):
        return
    line = 1
    try:
        if not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
            raise DataError(f"{file}: expected a file inside {root}, not a folder or a link")
        if file.stat().st_size > _MAX_BYTES:
            raise DataError(f"{file}: {file.stat().st_size} bytes, more than the {_MAX_BYTES} that are read")
        with file.open(encoding="utf-8-sig", newline="") as text:  # spreadsheets write a byte order mark
            rows = csv.reader(text, strict=True)
            if (header := next(rows, [])) != list(given.columns):
                expected = ",".join(given.columns)
                raise DataError(f"{file}: line 1: expected the columns {expected}, found {','.join(header)}")
            for row in rows:
                line = rows.line_num
                if len(row) != len(given.columns):
                    raise DataError(f"{file}: line {line}: expected {len(given.columns)} values, found {len(row)}")
                path, value = row
                if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                    raise DataError(
                        f"{file}: line {line}: {path!r} leaves the folder; expected a path relative to {root}"
                    )
                problem = given.problem(value)
                if problem or not value:
                    raise DataError(
                        f"{file}: line {line}: {problem or f'no {given.title}; name one or remove the line'}"
                    )
                yield line, path, sys.intern(value)  # one string for all lines that hold it
    except UnicodeDecodeError:
        raise DataError(f"{file}: not UTF-8 after line {line}; save it as UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{file}: after line {line}: {error}") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        raise DataError(f"{file}: cannot be read: {error}") from None
