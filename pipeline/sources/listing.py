"""A CSV, JSON Lines or Parquet listing: path and class, perhaps domain, part, group and open_set."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.errors import DataError
from pipeline.phrases import counted
from pipeline.sources.columns import CAPTIONS, find_columns
from pipeline.sources.encodings import check_utf8, not_utf8
from pipeline.sources.entry import Source
from pipeline.sources.jsonlines import json_lines
from pipeline.sources.options import SourceOptions
from pipeline.sources.rows import Row, rows_source

_MAX_BYTES = 2 * 1024**3  # a listing of ten million images
_MAX_ROWS = 10_000_000
_MAX_FIELD = 10_000  # characters of one field; a path is shorter
_CAPTIONED = 10  # rows from which captions are told from classes

Fields = Sequence[str | None]  # None for what is no text


def listing_source(path: Path, options: SourceOptions, name: str) -> Source:
    """A table with one row per image; paths are relative to its folder or to options.images.

    Args:
        path: .csv, .tsv, .jsonl or .parquet.
        options: domain, open_set, images and the titles of columns count here.
        name: the domain of rows that have none, where the options name none.
    Raises:
        DataError: as `read_listing` and `rows_source`.
        ParamsError: no domain is known, or a column that an option names is not there.
    """
    rows, notes = read_listing(path, options)
    return rows_source(path, "listing", rows, options, name, notes)


def read_listing(path: Path, options: SourceOptions) -> tuple[list[Row], list[str]]:
    """The rows of a table, and notes on what was understood.

    Raises:
        DataError: it is no such table or too large, a column is missing, a field is empty or no text, or classes are
            captions; the row is named (a CSV's line, where line 1 is the header).
        ParamsError: a column that an option names is not there.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES:,} bytes; split the listing")
    reader = read_table(path, options)
    titles = [title or "" for title in next(reader)[1]]
    columns = find_columns(path, titles, options)
    rows: list[Row] = []
    for where, fields in reader:
        values = {holds: (fields[index] or "").strip() for holds, index in columns.items()}
        for holds, index in columns.items():
            if fields[index] is None:
                raise DataError(
                    f"{path}: {where}: {titles[index]}: expected a text or a number, found a list or a mapping"
                )
            if holds in ("path", "class") and not values[holds]:
                raise DataError(f"{path}: {where}: {holds} is empty")
        rows.append(Row(where, **{_FIELDS.get(holds, holds): value for holds, value in values.items()}))
        if len(rows) > _MAX_ROWS:
            raise DataError(f"{path}: more than {_MAX_ROWS:,} rows; split the listing")
    notes = [f"{path}: a listing of {counted(len(rows), 'image')}"]
    class_title = titles[columns["class"]].strip()
    _check_captions(path, rows, "" if options.class_column else class_title)
    if (titles[columns["path"]].strip().lower(), class_title.lower()) != ("path", "class"):
        notes.append(f"paths are in the column {titles[columns['path']].strip()}, classes in {class_title}")
    unused = [title.strip() for index, title in enumerate(titles) if index not in columns.values()]
    if unused:
        notes.append(f"columns not used: {', '.join(unused)}")
    return rows, notes


_FIELDS = {"class": "name", "open_set": "pool"}  # of a row, where it is not called like its column


def _check_captions(path: Path, rows: Sequence[Row], title: str) -> None:
    classes = len({row.name for row in rows})
    if title.lower() == CAPTIONS and len(rows) >= _CAPTIONED and classes > len(rows) // 2:
        raise DataError(
            f"{path}: the column {title} holds {counted(classes, 'different text')} for {counted(len(rows), 'image')}: "
            "captions, not classes; name the column of classes with --class-column"
        )


def table_titles(path: Path, options: SourceOptions) -> list[str]:
    """The titles of a table's columns, without the spaces around them.

    Raises:
        DataError: as `read_table`.
    """
    with contextlib.closing(read_table(path, options)) as reader:
        return [(title or "").strip() for title in next(reader)[1]]


def read_table(path: Path, options: SourceOptions) -> Generator[tuple[str, Fields], None, None]:
    """(where, fields) of each row; the first holds the titles.

    Args:
        path: .csv, .tsv, .jsonl or .parquet.
        options: say which columns of a Parquet file are read; the others are "".
    Raises:
        DataError: it is no such table, or as `find_columns`.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        yield from _parquet(path, options)
    else:
        yield from json_lines(path) if suffix == ".jsonl" else _csv(path)


def _csv(path: Path) -> Iterator[tuple[str, list[str]]]:
    check_utf8(path)
    before = csv.field_size_limit(_MAX_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(_MAX_FIELD)
            delimiter = max(",;\t", key=first.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(reader, [])
            yield "line 1", header
            for fields in reader:
                if fields and len(fields) != len(header):
                    raise DataError(
                        f"{path}: line {reader.line_num}: expected {len(header)} fields, found {len(fields)}"
                    )
                if fields:
                    yield f"line {reader.line_num}", fields
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except csv.Error as error:
        raise DataError(f"{path}: not valid CSV: {error}") from None
    finally:
        csv.field_size_limit(before)


def _parquet(path: Path, options: SourceOptions) -> Iterator[tuple[str, list[str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            titles = file.schema_arrow.names
            yield "the schema", titles
            number = 0
            wanted = [titles[index] for index in find_columns(path, titles, options).values()]
            names = _class_names(file.schema_arrow.metadata or {})
            for batch in file.iter_batches(65536, columns=wanted):
                kept = dict(zip(batch.schema.names, batch.columns, strict=True))
                texts = [kept[t].cast(pa.string()).to_pylist() if t in kept else [""] * len(batch) for t in titles]
                for title in names.keys() & kept.keys():
                    index = titles.index(title)
                    texts[index] = [names[title].get(value or "", value) for value in texts[index]]
                for values in zip(*texts, strict=True):
                    yield f"row {number}", [value or "" for value in values]
                    number += 1
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet table of text: {' '.join(str(error).split())[:200]}") from None


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, dict[str, str]]:
    """Names of the numbers in columns of labels, which Hugging Face's datasets writes beside the schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {
            title: {str(number): str(name) for number, name in enumerate(feature["names"])}
            for title, feature in features.items()
            if feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
