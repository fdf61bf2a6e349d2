"""Which column of a table holds what: by its title, or as --path-column, --class-column and the like say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import DataError, ParamsError
from pipeline.phrases import shorten, suggest
from pipeline.sources.options import SourceOptions

TITLES: dict[str, tuple[str, ...]] = {
    "path": ("path", "file_name"),
    "class": ("class", "class_name", "label_name", "label", "category", "text"),
    "domain": ("domain",),
    "part": ("part", "split"),
    "group": ("group",),
    "open_set": ("open_set",),
}
"""What a column holds to the titles that say so, in small letters; the first that a table has counts."""

CAPTIONS = "text"
"""The title of classes, or of captions: the values tell."""

_NEEDED = {"path": "paths", "class": "classes"}
_SHOWN = 20  # titles that an error names


def find_columns(path: Path, titles: Sequence[str], options: SourceOptions) -> dict[str, int]:
    """The columns of a table that count.

    Args:
        path: of the table, for errors.
        titles: of its columns; spaces around them and their case do not matter.
        options: path_column, class_column, domain_column and group_column; "" for a known title.
    Returns:
        Keys of TITLES to indices of columns; without those that the table lacks.
    Raises:
        DataError: no column of paths, or none of classes; the titles and the option are named.
        ParamsError: a column that an option names is not there.
    """
    plain = [title.strip().lower() for title in titles]
    columns: dict[str, int] = {}
    for holds, option in (
        ("path", options.path_column),
        ("class", options.class_column),
        ("domain", options.domain_column),
        ("group", options.group_column),
    ):
        if option:
            columns[holds] = _named(path, titles, option, f"--{holds}-column")
    for holds, known in TITLES.items():
        index = next((plain.index(title) for title in known if title in plain), None)
        if holds not in columns and index is not None and index not in columns.values():
            columns[holds] = index
    for holds, noun in _NEEDED.items():
        if holds not in columns:
            shown = shorten([title.strip() for title in titles], _SHOWN) or "none"
            raise DataError(
                f"{path}: no column of {noun}; found: {shown}; expected one of {', '.join(TITLES[holds])}, or "
                f"name it with --{holds}-column"
            )
    return columns


def _named(path: Path, titles: Sequence[str], option: str, flag: str) -> int:
    if option in titles:
        return titles.index(option)
    plain = [title.strip().lower() for title in titles]
    if option.strip().lower() in plain:
        return plain.index(option.strip().lower())
    raise ParamsError(f"{flag} {option}: {path} has no such column; {suggest(option, titles, label='found')}")
