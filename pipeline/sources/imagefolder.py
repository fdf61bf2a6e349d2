"""Hugging Face's ImageFolder: images with metadata.csv, .jsonl or .parquet beside them, once or for each split.

Each table has a column `file_name` with paths relative to its own folder (Hugging Face datasets, "Create an image
dataset"). Where there is one, the folders say nothing about classes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from pipeline.data.listing import entries
from pipeline.data.parts import plain_part
from pipeline.errors import DataError
from pipeline.images import is_image
from pipeline.sources.columns import TITLES
from pipeline.sources.entry import Source
from pipeline.sources.listing import read_listing, table_titles
from pipeline.sources.options import SourceOptions
from pipeline.sources.paths import path_problem
from pipeline.sources.rows import Row, leaving_out, rows_source, unlisted
from pipeline.tables import PARTS

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")

_FILE_NAME = "file_name"
_LEVELS = 2  # of folders that may lie above a table: data/train/metadata.csv


def metadata_tables(folder: Path, options: SourceOptions) -> list[Path]:
    """The tables of an ImageFolder, sorted; none where a folder is no ImageFolder.

    A table without a column file_name is somebody else's. One without a column of classes says nothing of classes, if
    folders do.

    Raises:
        DataError: a table that lies among images cannot be read.
    """
    tables = []
    for table in _tables(folder, _LEVELS):
        among = any(is_image(Path(entry.path)) for entry in entries(table.parent))
        try:
            titles = {title.lower() for title in table_titles(table, options)}
        except DataError:
            if among:
                raise
            continue
        if _FILE_NAME in titles and (among or options.class_column or not titles.isdisjoint(TITLES["class"])):
            tables.append(table)
    return tables


def imagefolder_source(path: Path, options: SourceOptions, name: str) -> Source:
    """A folder with tables of metadata.

    Args:
        path: the folder.
        options: as in `listing_source`, but for images, which are beside the tables.
        name: the domain of rows that have none, where the options name none.
    Raises:
        DataError: there is no table, or as `read_listing` and `rows_source`.
        ParamsError: no domain is known, or a column that an option names is not there.
    """
    tables = metadata_tables(path, options)
    if not tables:
        raise DataError(
            f"{path}: expected {', '.join(TABLES)} with a column {_FILE_NAME}, here or in train/ and the like"
        )
    rows: list[Row] = []
    notes: list[str] = []
    for table in tables:
        listed, said = read_listing(table, options)
        below = table.parent.relative_to(path).as_posix()
        rows += [_placed(row, table.name, "" if below == "." else below) for row in listed]
        notes += said
    source = rows_source(path, "imagefolder", rows, replace(options, images=path), name, notes)
    return leaving_out(source, unlisted(source, [path], "in no table", tables))


def _placed(row: Row, table: str, below: str) -> Row:
    """A row with its path relative to the whole folder, and with the part that its folder says."""
    path = row.path if path_problem(row.path) or not below else f"{below}/{row.path}"
    part = row.part or next(
        (p for folder in PurePosixPath(path).parent.parts if (p := plain_part(folder)) in PARTS), ""
    )
    return replace(row, where=f"{below}/{table}: {row.where}".lstrip("/"), path=path, part=part)


def _tables(folder: Path, levels: int) -> list[Path]:
    tables = [Path(entry.path) for entry in entries(folder) if entry.name.lower() in TABLES and entry.is_file()]
    if levels and not tables:
        for entry in entries(folder):
            if entry.is_dir() and not entry.is_symlink():
                tables += _tables(Path(entry.path), levels - 1)
    return tables
