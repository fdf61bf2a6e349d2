"""Nothing that is shown or written mixes the two conventions of FPR95, or leaves out which one a number is in."""

from __future__ import annotations

import html
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from pipeline.evaluation.choice import UNSEEN, Choice
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.measures import KNOWN, METRICS
from pipeline.evaluation.results import flat
from pipeline.evaluation.sweep import MEASURES
from pipeline.params import Evaluate
from pipeline.params.choice import Export
from pipeline.report.console import print_metrics
from pipeline.report.gallery import Gallery
from pipeline.report.page import render_report
from pipeline.report.sweep import sweep_report
from pipeline.report.tables import by_metric, detection_terms, further_terms
from pipeline.report.wording import (
    CONFIDENCE,
    FULL_SPECTRUM,
    FULL_SPECTRUM_RATES,
    LOWER_IS_BETTER,
    MORE_DETECTION,
    OPEN_SET,
)
from pipeline.training.sweep import SWEEP

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").rglob("*.md"))
)
ID, OOD = re.compile(r"\bID([ _]positive|\+)", re.IGNORECASE), re.compile(r"\bOOD([ _]positive|\+)", re.IGNORECASE)


def convention(name: str) -> str | None:
    """Which side is positive by the name of a column or a key; None where it says neither or both."""
    words = name.replace("_", " ")
    sides = [side for side, pattern in (("ID", ID), ("OOD", OOD)) if pattern.search(words)]
    return sides[0] if len(sides) == 1 else None


def is_fpr(name: str) -> bool:
    return "fpr" in name.lower() or "false positive rate" in name.lower()


def unnamed(names: list[str]) -> list[str]:
    """The names that speak of a false positive rate and not, or not clearly, of its convention."""
    return [name for name in names if is_fpr(name) and convention(name) is None]


def html_headings(page: str) -> list[str]:
    cells = re.findall(r"<(th|dt|figcaption|h[1-6])\b[^>]*>(.*?)</\1>", page, re.DOTALL)
    return [html.unescape(re.sub(r"<span>.*?</span>|<[^>]+>", "", cell)) for _, cell in cells]


def markdown_tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Headings and rows of each pipe table."""
    for is_table, lines in itertools.groupby(text.splitlines(), lambda line: line.lstrip().startswith("|")):
        if is_table:
            rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
            yield rows[0], [row for row in rows[1:] if not set("".join(row)) <= set("-: ")]


def test_a_name_without_its_convention_is_found() -> None:
    assert unnamed(["FPR95 ↓", "fpr95", "accuracy", "near FPR95", "FPR95, ID and OOD", "fpr95_spread"]) == [
        "FPR95 ↓", "fpr95", "near FPR95", "FPR95, ID and OOD", "fpr95_spread",
    ]  # fmt: skip
    assert unnamed(["FPR95, ID positive / OOD positive"]) == ["FPR95, ID positive / OOD positive"]
    assert (
        unnamed(["FPR95, ID positive ↓", "dtd FPR95 OOD+", "fpr95_full_id_positive", "near fpr95_ood_positive"]) == []
    )
    assert [convention(name) for name in ("fpr95_id_positive", "FPR95 OOD+", "FPR95")] == ["ID", "OOD", None]


@pytest.mark.parametrize("page", PAGES)
def test_no_table_of_a_page_has_a_rate_without_its_convention(page: str) -> None:
    for headings, rows in markdown_tables((ROOT / page).read_text(encoding="utf-8")):
        names = headings + [row[0] for row in rows if is_fpr(row[0])]
        # A row of a glossary may name both in its text, never in its first cell.
        assert unnamed(names) == [], page


def test_pages_have_rates_of_both_conventions_to_look_at() -> None:
    tables = (table for page in PAGES for table in markdown_tables((ROOT / page).read_text(encoding="utf-8")))
    assert {convention(name) for headings, _ in tables for name in headings if is_fpr(name)} == {"ID", "OOD"}


def test_every_key_and_every_term_names_its_convention(summary) -> None:
    groups = (OPEN_SET, FULL_SPECTRUM, MORE_DETECTION, FULL_SPECTRUM_RATES, CONFIDENCE)
    terms = [name for group in groups for name, _ in group.values()]
    for names in (list(METRICS), list(flat(summary)), list(MEASURES), list(SWEEP.columns), terms):
        assert unnamed(names) == []
    for metric, (name, _) in {**OPEN_SET, **FULL_SPECTRUM_RATES}.items():
        assert convention(metric) == convention(name)
    # Rates, risks and errors are better when low; the rest is better when high.
    assert {name for name in METRICS if name in LOWER_IS_BETTER} == {*filter(is_fpr, METRICS), *KNOWN}


@pytest.fixture
def telling(metrics_of) -> dict:
    """A metrics.json whose numbers all differ, so that a cell shows which key it was read from."""
    metrics = metrics_of({"a": 0.5, "b": 0.4}, domains=("ink", "oil"))
    numbers = itertools.count(1)
    for targets in metrics.values():
        for row in targets.values():
            row |= {name: next(numbers) / 1000 for name in METRICS}
            sets = {name: {metric: next(numbers) / 1000 for metric in METRICS} for name in ("classes", "tex")}
            row["open_sets"] = sets
    return metrics


@pytest.mark.parametrize(("terms_of", "key"), [(detection_terms, "fpr95"), (further_terms, "fpr95_full")])
def test_a_column_shows_the_numbers_of_its_own_convention(telling, terms_of, key: str) -> None:
    for open_set in ("", "classes", "tex"):
        table = by_metric(telling, open_set, terms=terms_of(telling))
        rates = [place for place, column in enumerate(table.columns) if is_fpr(column.heading)]
        assert [convention(table.columns[place].heading) for place in rates] == ["ID", "OOD"]
        for method, cells in table.rows:
            numbers = telling[method]["mean"]
            numbers = numbers["open_sets"][open_set] if open_set else numbers
            for place in rates:
                side = convention(table.columns[place].heading)
                assert cells[place].text == f"{100 * numbers[f'{key}_{str(side).lower()}_positive']:.1f}"


def test_the_terminal_names_the_convention_of_every_rate(telling) -> None:
    file = io.StringIO()
    print_metrics(telling, Console(file=file, width=200))
    one_set = {
        method: {
            target: row | {"open_sets": {"classes": row["open_sets"]["classes"]}} for target, row in targets.items()
        }
        for method, targets in telling.items()
    }
    print_metrics(one_set, Console(file=file, width=200))
    # A line has one column heading, or several two or more spaces apart; a sentence names one rate.
    names = [part for line in file.getvalue().splitlines() for part in re.split(r"\s{2,}", line) if is_fpr(part)]
    assert {convention(name) for name in names} == {"ID", "OOD"}
    assert len(names) == 2 * 2 + 4  # titles and meanings of two open sets; headings and meanings of one


def test_the_report_names_the_convention_of_every_rate(world, manifest) -> None:
    settings = Evaluate(bootstrap=100, bins=20, hessian_probes=0)
    evaluation = evaluate(*world, manifest, settings, export=Export(method="tuned", score="energy"))
    page = render_report(evaluation, Gallery({}, [], []), title="t", lineage={})
    headings = html_headings(page)
    rates = [name for name in headings if is_fpr(name)]
    assert {convention(name) for name in rates} == {"ID", "OOD"}
    assert unnamed(headings) == []
    text = html.unescape(re.sub(r"<(style|svg)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL))
    mentions = [text[match.start() : match.end() + 80] for match in re.finditer("FPR95", text)]
    for mention in mentions:  # in prose too, but for the sentence that explains the two
        assert convention(mention[:20]) or mention.startswith("FPR95 in the literature"), mention


def test_the_sweep_names_the_convention_of_every_rate() -> None:
    rows = [
        {"configuration": name, "target": "ink", "seed": 1, "diverged": False, "point": f'{{"lr": {value}}}',
         **dict.fromkeys(MEASURES, 0.5)}
        for name, value in (("x", 0.1), ("y", 0.2))
    ]  # fmt: skip
    page = sweep_report(
        pd.DataFrame(rows), Choice("x", "energy", "r", pd.DataFrame(), "auroc", UNSEEN), title="t", lineage={}
    )
    headings = html_headings(page)
    assert {convention(name) for name in headings if is_fpr(name)} == {"ID", "OOD"}
    assert unnamed(headings) == []
