"""Answers as JSON lines, CSV or Parquet, written as they come; a file has its name only once it is whole."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from pipeline.prediction.answers import COLUMNS, Answer, record
from pipeline.tables import atomic_path

Form = Literal["json", "csv", "parquet"]
Write = Callable[[Sequence[Answer]], None]
ROW_GROUP = 10_000  # rows of Parquet that are kept in memory


@contextlib.contextmanager
def writer(form: Form, out: Path | None, *, model: str, top: int) -> Iterator[Write]:
    """A function that writes answers.

    Args:
        form: json (an object a line), csv, or parquet.
        out: the file, which is replaced as a whole when the block ends without an error; None for standard output,
            which Parquet cannot be written to.
        model: the column `model` of every row.
        top: how many classes each answer lists. JSON and Parquet have a list `top`; CSV has columns top1,
            top1_probability, top2, and so on.
    """
    if form == "parquet":
        if out is None:
            raise ValueError("Parquet needs a file")
        with atomic_path(out) as temporary, _parquet(temporary, model, top) as write:
            yield write
    elif out is None:
        yield _text(form, sys.stdout.buffer, model, top)
    else:
        with atomic_path(out) as temporary, temporary.open("wb") as file:
            yield _text(form, file, model, top)


def _text(form: Form, file: IO[bytes], model: str, top: int) -> Write:
    if form == "csv":
        titles = [
            *COLUMNS,
            *(title for place in range(1, top + 1) for title in (f"top{place}", f"top{place}_probability")),
        ]
        file.write(_line(titles))

    def write(answers: Sequence[Answer]) -> None:
        rows = (record(answer, model) for answer in answers)
        file.write(b"".join(_object(row, top) if form == "json" else _fields(row, top) for row in rows))
        file.flush()  # whoever reads the other end of a pipe gets each batch at once

    return write


def _object(row: dict[str, Any], top: int) -> bytes:
    best = row.pop("top")
    if top:
        row["top"] = [{"class": name, "probability": value} for name, value in best]
    return json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"


def _fields(row: dict[str, Any], top: int) -> bytes:
    best = [cell for pair in row.pop("top") for cell in pair]
    cells = [*row.values(), *best, *[None] * (2 * top - len(best))]
    return _line([str(cell).lower() if isinstance(cell, bool) else cell for cell in cells])


def _line(cells: Sequence[Any]) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode("utf-8")


@contextlib.contextmanager
def _parquet(path: Path, model: str, top: int) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"probability": pa.float32(), "score": pa.float32(), "unknown": pa.bool_()}
    fields = [(name, kinds.get(name, pa.string())) for name in COLUMNS]
    if top:
        fields.append(("top", pa.list_(pa.struct([("class", pa.string()), ("probability", pa.float32())]))))
    schema = pa.schema(fields)
    waiting: list[dict[str, Any]] = []

    with pq.ParquetWriter(path, schema) as file:

        def flush() -> None:
            if waiting:
                file.write_table(pa.Table.from_pylist(waiting, schema=schema))
                waiting.clear()

        def write(answers: Sequence[Answer]) -> None:
            for answer in answers:
                row = record(answer, model)
                row["top"] = [{"class": name, "probability": value} for name, value in answer.top]
                waiting.append(row)
            if len(waiting) >= ROW_GROUP:
                flush()

        yield write
        flush()
