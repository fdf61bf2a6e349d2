"""Tables of results, methods by columns, as text: the terminal and the report print the same cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.evaluation.difference import LOWER_IS_BETTER
from pipeline.evaluation.results import (
    PROTOCOL,
    Metrics,
    by_accuracy,
    held_out,
    measured,
    measured_open_sets,
    numbers_of,
    targets_of,
)
from pipeline.report.wording import (
    FULL_SPECTRUM,
    FULL_SPECTRUM_RATES,
    MORE_DETECTION,
    OPEN_SET,
    Terms,
    called,
    headed,
    images_in_words,
    percent,
    tested_on,
    with_spread,
)
from pipeline.tables import MEAN


class Column(NamedTuple):
    """A metric on a held-out domain (or their mean) and one open set ("" for their mean), under a heading.

    is_mean marks the column that averages over the others of its table.
    """

    heading: str
    metric: str
    target: str = MEAN
    open_set: str = ""
    is_mean: bool = False


class Cell(NamedTuple):
    """A number as text; whether it is the best of its column; the 95 % interval where there is one."""

    text: str
    best: bool
    interval: str


@dataclass(frozen=True)
class ResultTable:
    """Rows of (method, cells), the most accurate method first; one cell per column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]

    def split(self, most: int) -> Iterator[ResultTable]:
        """The same table in parts of at most `most` columns; the mean joins the last part, whatever its width."""
        ends = list(range(most, len(self.columns) - self.columns[-1].is_mean, most))
        for start, end in zip([0, *ends], [*ends, None], strict=True):
            part = slice(start, end)
            yield ResultTable(self.columns[part], tuple((method, cells[part]) for method, cells in self.rows))


def by_domain(metrics: Metrics, metric: str) -> ResultTable:
    """One metric on each held-out domain, then its mean."""
    targets = targets_of(metrics)
    return result_table(metrics, [Column(target, metric, target, is_mean=target == MEAN) for target in targets])


def by_open_set(metrics: Metrics, metric: str) -> ResultTable:
    """One detection metric on each open set, then its mean; mean over held-out domains."""
    columns = [Column(called(name), metric, open_set=name) for name in measured_open_sets(metrics)]
    return result_table(metrics, [*columns, Column(MEAN, metric, is_mean=True)])


def by_metric(metrics: Metrics, open_set: str = "", *, terms: Terms = OPEN_SET) -> ResultTable:
    """Several metrics of one open set, or their means over the open sets; mean over held-out domains.

    Args:
        terms: what they are called.
    """
    columns = [Column(headed(metric, name), metric, open_set=open_set) for metric, (name, _) in terms.items()]
    return result_table(metrics, columns)


def detection_terms(metrics: Metrics) -> Terms:
    """What the report shows of detection: the terminal's metrics, full-spectrum AUROC, average precision."""
    full = FULL_SPECTRUM if measured(metrics, "auroc_full") else {}
    others = {metric: term for metric, term in OPEN_SET.items() if metric != "auroc"}
    rates = base_rates(metrics)
    shares = [f"{rate} %{f' ({called(name)})' if len(rates) > 1 else ''}" for name, rate in rates.items()]
    meaning = f"unknown images are the positive class; a random score reaches their share, {', '.join(shares)}"
    return {"auroc": OPEN_SET["auroc"], **full, **others, "average_precision": ("average precision", meaning)}


def further_terms(metrics: Metrics) -> Terms:
    """What the report keeps for those who compare with papers."""
    return {**MORE_DETECTION, **(FULL_SPECTRUM_RATES if measured(metrics, "auroc_full") else {})}


def result_table(metrics: Metrics, columns: Sequence[Column]) -> ResultTable:
    """Any columns of metrics.json as a table."""
    best = {column: best_methods(metrics, column) for column in columns}
    rows = tuple(
        (method, tuple(_cell(metrics, method, column, method in best[column]) for column in columns))
        for method in by_accuracy(metrics)
    )
    return ResultTable(tuple(columns), rows)


def best_methods(metrics: Metrics, column: Column) -> set[str]:
    """The methods whose printed number is the best of a column; none when nothing was measured."""
    values = {m: numbers_of(metrics, m, column.target, column.open_set).get(column.metric) for m in metrics}
    printed = {method: round(100 * value, 1) for method, value in values.items() if value is not None}
    if not printed:
        return set()
    best = min(printed.values()) if column.metric in LOWER_IS_BETTER else max(printed.values())
    return {method for method, value in printed.items() if value == best}


def _cell(metrics: Metrics, method: str, column: Column, best: bool) -> Cell:
    numbers = numbers_of(metrics, method, column.target, column.open_set)
    low, high = (numbers.get(f"{column.metric}_{end}") for end in ("low", "high"))
    interval = "" if low is None or high is None else f"{percent(low)} to {percent(high)}"
    return Cell(with_spread(numbers, column.metric), best, interval)


def tiles(metrics: Metrics, deployed: str) -> list[tuple[str, str]]:
    """The deployed method's main numbers, each with its name; nothing where that method was not evaluated."""
    if deployed not in metrics:
        return []
    names = {"accuracy": f"accuracy on {tested_on(metrics)}"}
    names |= {"accuracy_id": "accuracy on source domains"} if held_out(metrics) else {}
    names |= {
        "auroc": "AUROC, unknown against known",
        "fpr95_id_positive": "unknown accepted at 95 % known accepted",
    }
    return [(with_spread(numbers_of(metrics, deployed), metric), name) for metric, name in names.items()]


def base_rates(metrics: Metrics) -> dict[str, str]:
    """The share of unknown images of each open set, in percent."""
    rates = {}
    for name in measured_open_sets(metrics):
        values = [numbers_of(metrics, method, open_set=name).get("base_rate") for method in metrics]
        rates[name] = percent(next((value for value in values if value is not None), None))
    return rates


def protocol_rows(
    metrics: Metrics, protocols: Mapping[str, Mapping[str, Any]], deployed: str
) -> list[tuple[str, str, str]]:
    """(held-out domain, id, what its row is about) of the deployed method, without the mean."""
    rows = []
    for target, numbers in metrics.get(deployed, {}).items():
        known = protocols.get(str(numbers.get(PROTOCOL, "")), {})
        if "known" in known:
            rows.append((target, str(numbers[PROTOCOL]), images_in_words(known)))
    return rows


def counts(metrics: Metrics) -> dict[str, int]:
    """The largest numbers of known images, of unknown images and of seeds in any row."""
    rows = [numbers for targets in metrics.values() for numbers in targets.values()]
    return {key: max((int(row.get(key) or 0) for row in rows), default=0) for key in ("n", "n_unknown", "seeds")}
