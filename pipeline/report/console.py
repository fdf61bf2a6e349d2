"""The results as tables on a terminal or in a log; needs only metrics.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.text import Text

from pipeline.console import make_console, plain_table
from pipeline.evaluation.results import Metrics, held_out, measured, measured_open_sets
from pipeline.report.tables import ResultTable, by_domain, by_metric, by_open_set, counts
from pipeline.report.wording import OPEN_SET, SPREAD, headed, tested_on
from pipeline.tables import UNKNOWN_CLASSES

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = 6  # side by side; more continue in a table below


def print_metrics(metrics: Metrics, console: Console | None = None) -> None:
    """Print method x held-out domain accuracy, then detection of each open set, the most accurate method first.

    Args:
        metrics: content of metrics.json.
        console: where to print; standard output by default, as `make_console` makes it.
    """
    console = console or make_console()
    if not metrics:
        console.print("No method was evaluated.")
        return
    for title, table in _titled_tables(metrics):
        for part in table.split(_COLUMNS):
            # Not the table's own title, which would be wrapped at the table's width.
            console.print(Group(Text(title, style="bold"), _drawn(part)))
    if not measured(metrics, "auroc"):
        console.print("Open-set detection was not measured: there is no unknown class and no open set.")
        return
    for name, meaning in OPEN_SET.values():
        console.print(f"[dim]{name}: {meaning}[/dim]", highlight=False)


def _titled_tables(metrics: Metrics) -> Iterator[tuple[str, ResultTable]]:
    seeds = counts(metrics)["seeds"]
    spread = SPREAD.format(seeds=seeds) if seeds > 1 else "one seed, so no spread"
    domains, mean = (
        ("the held-out domain", "; mean over held-out domains")
        if held_out(metrics)
        else (tested_on(metrics), f"; {tested_on(metrics)}")
    )
    yield f"Accuracy on {domains}, %; {spread}", by_domain(metrics, "accuracy")
    sets = measured_open_sets(metrics)
    if len(sets) > 1:
        for metric, (name, _) in OPEN_SET.items():
            title = f"{headed(metric, name)} of each open set against known classes, %{mean}"
            yield title, by_open_set(metrics, metric)
    elif measured(metrics, "auroc"):
        unknown = "Unknown" if sets in ([], [UNKNOWN_CLASSES]) else sets[0]
        yield f"{unknown} against known classes, %{mean}", by_metric(metrics)


def _drawn(table: ResultTable) -> Table:
    drawn = plain_table("method", *(column.heading for column in table.columns))
    for method, cells in table.rows:
        texts = [Text(cell.text, style="bold green" if cell.best else "") for cell in cells]
        drawn.add_row(Text(method), *texts)
    return drawn
