"""JSON Lines as a table: one object a line, whose keys are the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.sources.encodings import check_utf8, not_utf8

_MAX_LINE = 1024**2  # characters
_MAX_KEYS = 1000


def json_lines(path: Path) -> Iterator[tuple[str, list[str | None]]]:
    """("the keys", titles), then (where, texts) of each line.

    Args:
        path: UTF-8, with or without a byte order mark; empty lines are passed over.
    Returns:
        Texts in the order of the titles: "" for a key that is missing or null, None for a list or a mapping.
    Raises:
        DataError: a line is no JSON object or too long, or there are too many keys; the line is named.
    """
    check_utf8(path)
    titles: dict[str, None] = {}
    for where, facts in _objects(path):
        titles.update(dict.fromkeys(facts))
        if len(titles) > _MAX_KEYS:
            raise DataError(f"{path}: {where}: more than {_MAX_KEYS:,} different keys; expected the same in every line")
    yield "the keys", list(titles)
    for where, facts in _objects(path):
        yield where, [text(facts.get(title)) for title in titles]


def text(value: Any) -> str | None:
    """A JSON value as a field of a table: "" for null, None for a list or a mapping."""
    if isinstance(value, list | dict):
        return None
    return "" if value is None else str(value)


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            number = 0
            while line := lines.readline(_MAX_LINE + 1):
                number += 1
                if len(line) > _MAX_LINE:
                    raise DataError(f"{path}: line {number}: longer than {_MAX_LINE:,} characters; expected one object")
                if line.strip():
                    yield f"line {number}", _object(path, number, line)
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise DataError(
            f'{path}: line {number}: expected a JSON object such as {{"file_name": ...}}, found {line.strip()[:60]!r}'
        )
    return facts
