"""`croft runs`: the last runs as a table, as CSV and as JSON."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import telemetry
from pipeline.console import make_console, plain_table, say
from pipeline.errors import ParamsError
from pipeline.params import load_params
from pipeline.versioning.names import parse_reference

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.provenance.runs import Row

_SHOWN = 8  # digits of an id


def print_runs(data: str, *, as_csv: bool, as_json: bool, limit: int) -> None:
    """Print the last runs.

    Args:
        data: NAME or NAME@VERSION; "" for all.
        as_csv, as_json: instead of a table.
        limit: the most rows.
    Raises:
        CroftError: there is no such version, or the server cannot be reached.
    """
    telemetry.disable()
    if as_csv and as_json:
        raise ParamsError("--csv and --json: choose one of the two")
    name = load_params().register_.model
    reference = parse_reference(data) if data else None
    from pipeline.provenance.runs import Row, list_runs

    rows = list_runs(Path.cwd(), name, data=reference, limit=limit)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    else:
        print_rows(rows, make_console(), data=data)


def print_rows(rows: Sequence[Row], console: Console, *, data: str = "") -> None:
    """The table, or one line where there is none."""
    from rich.markup import escape

    if not rows:
        say(f"No run on {data} is recorded here" if data else "No run is recorded here; start one: croft run", console)
        return
    table = plain_table(
        "Run", "What", "Started", "State", "Commit", "Data", "Method", "Accuracy", "AUROC", "Version", words=7
    )
    for row in rows:
        commit = f"{row.commit[:7]}{'+' if row.dirty else ''}"
        words = (
            row.run_id[:_SHOWN],
            row.name,
            row.started[:16].replace("T", " "),
            row.state,
            commit,
            row.data.removeprefix("data/"),
        )
        numbers = ("" if value is None else f"{100 * value:.1f}" for value in (row.accuracy, row.auroc))
        table.add_row(*map(escape, words), escape(row.method), *numbers, row.version)
    console.print(table)
    if any(row.dirty for row in rows):
        say("+ with local changes", console)
