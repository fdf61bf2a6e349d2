"""The report in a real browser: it loads nothing, complains of nothing, fits the window, and its tables sort."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Tab, chromium, needs_chromium
from rendered import evaluation_of, render

pytestmark = [needs_chromium, pytest.mark.xdist_group("chromium")]


@pytest.fixture(scope="module")
def page(scores, world, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(evaluation_of(scores, world[1].history)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("browser") / "profile") as tab:
        yield tab


@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_cleanly_and_fits_the_window(tab: Tab, page: Path, width: int) -> None:
    tab.requests.clear()
    tab.complaints.clear()
    tab.open(page.as_uri(), width=width)
    assert tab.evaluate("document.title") == "a data set – CRoFT report"
    assert tab.overflow() == 0
    assert tab.requests == [page.as_uri()]
    assert tab.complaints == []


def test_a_click_sorts_a_table_by_its_numbers(tab: Tab, page: Path) -> None:
    tab.open(page.as_uri(), width=1280)
    cells = """[...document.querySelectorAll('#accuracy tbody tr')].map(row => parseFloat(row.cells[1].textContent))"""
    click = "document.querySelectorAll('#accuracy thead th')[1].click()"
    before = tab.evaluate(cells)
    assert len(before) > 1
    tab.evaluate(click)
    first = tab.evaluate(cells)
    tab.evaluate(click)
    second = tab.evaluate(cells)
    assert {tuple(first), tuple(second)} == {tuple(sorted(before)), tuple(sorted(before, reverse=True))}
    assert tab.complaints == []


def test_the_policy_stops_what_is_not_of_the_page(tab: Tab, page: Path) -> None:
    tab.open(page.as_uri(), width=1280)
    tab.requests.clear()
    add = "document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:9/x.png'}))"
    tab.evaluate(add)
    tab.evaluate("new Promise(done => setTimeout(done, 300))")
    assert any("Content Security Policy" in text for text in tab.complaints)
    tab.complaints.clear()
