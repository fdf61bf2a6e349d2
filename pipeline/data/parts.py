"""The parts that a data set's authors gave their images: parts.csv at the data root says which train and which test.

Folders that are called as parts are no such record: in a data root they are domains, which somebody must have said.
"""

from __future__ import annotations

import csv
import os
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.data.layout import printable, versions_file
from pipeline.data.listing import Listing, entries
from pipeline.errors import DataError
from pipeline.phrases import shorten
from pipeline.tables import PARTS, PARTS_FILE

COLUMNS = ("path", "part")
_NAMES = {
    **dict.fromkeys(("training", "train_set", "training_set"), "train"),
    **dict.fromkeys(("valid", "validation", "crossval", "dev", "val_set", "validation_set"), "val"),
    **dict.fromkeys(("testing", "test_set", "testing_set"), "test"),
}
_NAMED = 4  # folders that an error names
_MAX_BYTES = 256 * 2**20  # a million lines of 256 bytes; anything larger is a mistake


def plain_part(name: str) -> str:
    """The part that a name of any case or of another tool means; the name itself where that is not known."""
    return _NAMES.get(name.lower(), name.lower())


def is_part(name: str) -> bool:
    """Whether a folder is called as a part is."""
    return plain_part(name) in PARTS


def are_domains(root: Path) -> bool:
    """Whether it is on record that the folders of a data root are domains, whatever they are called.

    `croft data add` made it, which asks (--domains); or its parts are in parts.csv.
    """
    return versions_file(root).is_file() or (root / PARTS_FILE).is_file()


def check_domains(root: Path) -> None:
    """Refuse domains that are called as parts, unless `are_domains`: a split would be taken for a shift of domains.

    Args:
        root: of the data; nothing is checked where it is missing.
    Raises:
        DataError: naming the folders, and the commands for both meanings.
    """
    if not root.is_dir() or are_domains(root):
        return
    named = [printable(entry.name) for entry in entries(root) if is_part(entry.name) and entry.is_dir()]
    if named:
        folders = f"the folder {named[0]} is" if len(named) == 1 else f"the folders {shorten(named, _NAMED)} are"
        raise DataError(
            f"{root}: {folders} called as parts of a split are, and nothing says that they are domains; "
            f"`croft data add {root} --name NEW` makes a data set with these parts, and with --domains one with these "
            "domains; then set data.root: data/NEW"
        )


def read_parts(root: Path, listing: Listing) -> list[str]:
    """The part of each image of a data root, where parts.csv gives it one.

    Args:
        root: of the data.
        listing: what it holds.
    Returns:
        One of PARTS for each of listing.paths; "" where the file does not name the image.
    Raises:
        DataError: as `part_rows`; or a line, which is named, holds no path of an image of the root, or a path that an
            earlier line holds.
    """
    file, parts = root / PARTS_FILE, [""] * len(listing.paths)
    refused: set[str] | None = None
    for line, path, part in part_rows(root):
        position = bisect_left(listing.paths, path)
        if position == len(parts) or listing.paths[position] != path:
            refused = {path for path, _ in listing.refused} if refused is None else refused
            if path in refused:
                continue
            raise DataError(f"{file}: line {line}: {path!r} is no image below {root}")
        if parts[position]:
            raise DataError(f"{file}: line {line}: {path!r} is listed in an earlier line too; remove one of the two")
        parts[position] = part
    return parts


def part_rows(root: Path) -> Iterator[tuple[int, str, str]]:
    """(line, path, part) of each row of parts.csv; nothing without the file.

    The file is UTF-8 with the columns path (relative to root, POSIX separators) and part (one of PARTS).

    Args:
        root: of the data.
    Raises:
        DataError: the file cannot be read, is too large, or is a link that leaves the root; or one of its lines, which
            is named, holds a path that leaves the root or an unknown part.
    """
    file = root / PARTS_FILE
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
            if (header := next(rows, [])) != list(COLUMNS):
                raise DataError(f"{file}: line 1: expected the columns {','.join(COLUMNS)}, found {','.join(header)}")
            for row in rows:
                line = rows.line_num
                if len(row) != len(COLUMNS):
                    raise DataError(f"{file}: line {line}: expected {len(COLUMNS)} values, found {len(row)}")
                path, part = row
                if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                    raise DataError(
                        f"{file}: line {line}: {path!r} leaves the folder; expected a path relative to {root}"
                    )
                if part not in PARTS:
                    raise DataError(f"{file}: line {line}: unknown part {part!r}; expected {', '.join(PARTS)}")
                yield line, path, PARTS[PARTS.index(part)]  # one string for all, not one a line
    except UnicodeDecodeError:
        raise DataError(f"{file}: not UTF-8 after line {line}; save it as UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{file}: after line {line}: {error}") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        raise DataError(f"{file}: cannot be read: {error}") from None
