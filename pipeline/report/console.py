"""The summary as tables on a terminal or in a log; needs only metrics.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pipeline.console import make_console
from pipeline.report.wording import (
    HIGHER_IS_BETTER,
    OPEN_SET,
    SPREAD,
    Metrics,
    best,
    by_accuracy,
    called,
    cell,
    held_out,
    open_sets,
    targets_of,
    tested_on,
)
from pipeline.tables import MEAN, UNKNOWN_CLASSES

if TYPE_CHECKING:
    import pandas as pd

_TARGETS = 6  # held-out domains beside one another; more continue in a table below


def print_summary(summary: pd.DataFrame, console: Console | None = None) -> None:
    """Print the table from `summarise`, as `print_metrics` does."""
    from pipeline.evaluation.summary import metrics_json

    print_metrics(metrics_json(summary), console)


def print_metrics(metrics: Metrics, console: Console | None = None) -> None:
    """Print method x held-out domain accuracy, then detection of each open set, the most accurate method first.

    Args:
        metrics: content of metrics.json, {method: {target: {column: value}}}.
        console: where to print; standard output by default, as `make_console` makes it.
    """
    console = console or make_console()
    if not metrics:
        console.print("No method was evaluated.")
        return
    domains = [name for name in targets_of(metrics) if name != MEAN]
    for start in range(0, len(domains), _TARGETS):
        last = start + _TARGETS >= len(domains) and held_out(metrics)
        console.print(_accuracy_table(metrics, domains[start : start + _TARGETS] + ([MEAN] if last else [])))
    sets = open_sets(metrics)
    if len(sets) > 1:
        for metric in OPEN_SET:
            for start in range(0, len(sets), _TARGETS):
                last = start + _TARGETS >= len(sets)
                console.print(_by_open_set(metrics, metric, sets[start : start + _TARGETS], last))
    elif any(of_method.get(MEAN, {}).get("auroc") is not None for of_method in metrics.values()):
        console.print(_open_set_table(metrics, sets))
    else:
        console.print("Open-set detection was not measured: there is no unknown class and no open set.")
        return
    for title, meaning in OPEN_SET.values():
        console.print(f"[dim]{title}: {meaning}[/dim]", highlight=False)


def _accuracy_table(metrics: Metrics, targets: list[str]) -> Group:

    seeds = max((int(n.get("seeds") or 0) for of_method in metrics.values() for n in of_method.values()), default=0)
    note = SPREAD.format(seeds=seeds) if seeds > 1 else "one seed, so no spread"
    table = _table()
    for target in targets:
        table.add_column(Text(target), justify="right", overflow="fold")
    columns = [(target, best(metrics, target, "accuracy")) for target in targets]
    for method in by_accuracy(metrics):
        cells = [_text(cell(metrics, method, target, "accuracy"), method in top) for target, top in columns]
        table.add_row(Text(method), *cells)
    where = "the held-out domain" if held_out(metrics) else tested_on(metrics)
    return _titled(f"Accuracy on {where}, %; {note}", table)


def _open_set_table(metrics: Metrics, sets: list[str]) -> Group:

    columns = [(f"{title} {_arrow(metric)}", metric, metric) for metric, (title, _) in OPEN_SET.items()]
    name = "Unknown" if sets in ([], [UNKNOWN_CLASSES]) else sets[0]
    return _mean_table(metrics, f"{name} against known classes, %{_over(metrics)}", columns)


def _by_open_set(metrics: Metrics, metric: str, sets: list[str], last: bool) -> Group:

    columns = [(called(name), f"{metric}/{name}", metric) for name in sets] + ([(MEAN, metric, metric)] if last else [])
    title = f"{OPEN_SET[metric][0]} {_arrow(metric)} of each open set against known classes, %{_over(metrics)}"
    return _mean_table(metrics, title, columns)


def _mean_table(metrics: Metrics, title: str, columns: list[tuple[str, str, str]]) -> Group:
    """Columns: title, key in the metrics, and the metric whose better end is the key's."""
    table = _table()
    tops = []
    for name, key, metric in columns:
        table.add_column(Text(name), justify="right", overflow="fold")
        tops.append((key, best(metrics, MEAN, key, higher=HIGHER_IS_BETTER[metric])))
    for method in by_accuracy(metrics):
        table.add_row(Text(method), *(_text(cell(metrics, method, MEAN, key), method in top) for key, top in tops))
    return _titled(title, table)


def _arrow(metric: str) -> str:

    return "↑" if HIGHER_IS_BETTER[metric] else "↓"


def _over(metrics: Metrics) -> str:

    return "; mean over held-out domains" if held_out(metrics) else f"; {tested_on(metrics)}"


def _table() -> Table:

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", overflow="fold")
    return table


def _titled(title: str, table: Table) -> Group:
    """A title above a table; a title of the table itself would be wrapped at the table's width."""
    return Group(Text(title, style="bold"), table)


def _text(content: str, is_best: bool) -> Text:

    return Text(content, style="bold green" if is_best else "")
