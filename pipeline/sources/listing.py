"""A CSV or Parquet listing: path and class, perhaps domain, part and open_set."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import DataError
from pipeline.phrases import counted, suggest
from pipeline.sources.encodings import check_utf8, not_utf8
from pipeline.sources.entry import Source
from pipeline.sources.options import SourceOptions
from pipeline.sources.rows import Row, rows_source

COLUMNS = ("path", "class", "domain", "part", "open_set")
_NEEDED = ("path", "class")
_MAX_BYTES = 2 * 1024**3  # a listing of ten million images
_MAX_ROWS = 10_000_000
_MAX_FIELD = 10_000  # characters of one field; a path is shorter


def listing_source(path: Path, options: SourceOptions, name: str) -> Source:
    """A table with one row per image; paths are relative to its folder or to options.images.

    Args:
        path: .csv, .tsv or .parquet.
        options: domain, open_set and images count here.
        name: the domain of rows that have none, where the options name none.
    Raises:
        DataError: it is no such table or too large, a column is missing, a field is empty, or rows are refused as in
            `rows_source`; the row is named (a CSV's line, where line 1 is the header).
        ParamsError: no domain is known.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES:,} bytes; split the listing")
    reader = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    header = next(reader)[1]
    columns = {title.strip().lower(): index for index, title in enumerate(header)}
    for needed in _NEEDED:
        if needed not in columns:
            raise DataError(
                f"{path}: no column {needed!r}; expected {', '.join(COLUMNS)}, of which the last three are "
                f"optional; {suggest(needed, columns, label='columns')}"
            )
    rows: list[Row] = []
    for where, fields in reader:
        values = {c: fields[columns[c]].strip() if c in columns else "" for c in COLUMNS}
        if not values["path"] or not values["class"]:
            raise DataError(f"{path}: {where}: path or class is empty")
        rows.append(Row(where, values["path"], values["class"], values["domain"], values["part"], values["open_set"]))
        if len(rows) > _MAX_ROWS:
            raise DataError(f"{path}: more than {_MAX_ROWS:,} rows; split the listing")
    notes = [f"{path}: a listing of {counted(len(rows), 'image')}"]
    unused = [title for title in columns if title not in COLUMNS]
    if unused:
        notes.append(f"columns not used: {', '.join(unused)}")
    return rows_source(path, "listing", rows, options, name, notes)


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


def _parquet(path: Path) -> Iterator[tuple[str, list[str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            titles = file.schema_arrow.names
            yield "the schema", titles
            number = 0
            for batch in file.iter_batches(65536, columns=[t for t in titles if t.strip().lower() in COLUMNS]):
                kept = dict(zip(batch.schema.names, batch.columns, strict=True))
                texts = [kept[t].cast(pa.string()).to_pylist() if t in kept else [""] * len(batch) for t in titles]
                for values in zip(*texts, strict=True):
                    yield f"row {number}", [value or "" for value in values]
                    number += 1
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet table of text: {' '.join(str(error).split())[:200]}") from None
