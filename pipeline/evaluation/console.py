"""The summary as tables on a terminal or in a log; needs only metrics.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.console import make_console
from pipeline.evaluation.wording import (
    HIGHER_IS_BETTER,
    OPEN_SET,
    SPREAD,
    Metrics,
    best,
    by_accuracy,
    cell,
    targets_of,
)
from pipeline.tables import MEAN

if TYPE_CHECKING:
    import pandas as pd

_TARGETS = 6  # held-out domains beside one another; more continue in a table below


def print_summary(summary: pd.DataFrame, console: Console | None = None) -> None:
    """Print the table from `summarise`, as `print_metrics` does."""
    from pipeline.evaluation.summary import metrics_json

    print_metrics(metrics_json(summary), console)


def print_metrics(metrics: Metrics, console: Console | None = None) -> None:
    """Print method x held-out domain accuracy, then open-set detection, the most accurate method first.

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
        last = start + _TARGETS >= len(domains)
        console.print(_accuracy_table(metrics, domains[start : start + _TARGETS] + ([MEAN] if last else [])))
    if any(of_method.get(MEAN, {}).get("auroc") is not None for of_method in metrics.values()):
        console.print(_open_set_table(metrics))
        for title, meaning in OPEN_SET.values():
            console.print(f"[dim]{title}: {meaning}[/dim]", highlight=False)
    else:
        console.print("Open-set detection was not measured: there is no unknown class.")


def _accuracy_table(metrics: Metrics, targets: list[str]) -> Table:

    seeds = max((int(n.get("seeds") or 0) for of_method in metrics.values() for n in of_method.values()), default=0)
    note = SPREAD.format(seeds=seeds) if seeds > 1 else "one seed, so no spread"
    table = _table(f"Accuracy on the held-out domain, %; {note}")
    for target in targets:
        table.add_column(Text(target), justify="right", overflow="fold")
    columns = [(target, best(metrics, target, "accuracy")) for target in targets]
    for method in by_accuracy(metrics):
        cells = [_text(cell(metrics, method, target, "accuracy"), method in top) for target, top in columns]
        table.add_row(Text(method), *cells)
    return table


def _open_set_table(metrics: Metrics) -> Table:

    table = _table("Unknown against known classes, %; mean over held-out domains")
    columns = []
    for metric, (title, _) in OPEN_SET.items():
        higher = HIGHER_IS_BETTER[metric]
        table.add_column(f"{title} {'↑' if higher else '↓'}", justify="right")
        columns.append((metric, best(metrics, MEAN, metric, higher=higher)))
    for method in by_accuracy(metrics):
        cells = [_text(cell(metrics, method, MEAN, metric), method in top) for metric, top in columns]
        table.add_row(Text(method), *cells)
    return table


def _table(title: str) -> Table:

    table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", overflow="fold")
    return table


def _text(content: str, is_best: bool) -> Text:

    return Text(content, style="bold green" if is_best else "")
