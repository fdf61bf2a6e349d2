"""The HTML page and its figures."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import itertools
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pandas as pd
import pytest
from rendered import RANKING, TUNED, evaluation_of, png, render
from rich.console import Console

from pipeline.evaluation.choice import UNSEEN, Choice
from pipeline.evaluation.curves import accuracy_points, history_points, roc_points, score_histogram
from pipeline.evaluation.difference import Difference
from pipeline.evaluation.evaluate import evaluate
from pipeline.params import Evaluate
from pipeline.report import figures
from pipeline.report.console import print_metrics
from pipeline.report.gallery import Example, Gallery
from pipeline.report.tables import by_domain, by_open_set
from pipeline.report.wording import CONFIDENCE, FULL_SPECTRUM, FULL_SPECTRUM_RATES, MORE_DETECTION, OPEN_SET
from pipeline.tables import IN_DISTRIBUTION, TEST_ID, TEST_UNKNOWN

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would load, show and complain about."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.tags: dict[str, int] = {}
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        values = dict(attrs)
        if tag == "a":
            self.links.append(values.get("href") or "")
        else:
            self.loads += [values[name] or "" for name in ("src", "href", "xlink:href", "data") if name in values]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def html(scores, world) -> str:
    return render(evaluation_of(scores, world[1].history), links={"Data quality": "../validation/docs/index.html"})


def test_page_is_whole_and_loads_nothing_from_outside(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert page.loads
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.loads)
    # One script, which sorts tables, and the page's policy allows no other.
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "url(http" not in html
    assert "@import" not in html
    assert page.tags["svg"] == 5
    assert page.tags["img"] == 4
    assert {"../validation/docs/index.html", "../sweep/report.html"} <= set(page.links)
    anchors = [link[1:] for link in page.links if link.startswith("#")]
    assert all(f'id="{anchor}"' in html for anchor in anchors)


def test_page_shows_the_numbers_and_says_what_they_are(html: str, summary) -> None:
    text = Page(html).text
    for rows in summary.values():
        for row in rows.values():
            assert f"{100 * row['accuracy']:.1f} ± {100 * row['accuracy_spread']:.1f}" in text
        shown = (OPEN_SET, ["average_precision"], FULL_SPECTRUM, MORE_DETECTION, FULL_SPECTRUM_RATES, CONFIDENCE)
        for name in itertools.chain(*shown):
            assert f"{100 * rows['mean'][name]:.1f} ± {100 * rows['mean'][f'{name}_spread']:.1f}" in text
    for phrase in (
        "± is the standard deviation over 2 seeds",
        "95 % bootstrap interval",
        "FPR95, ID positive",
        "FPR95, OOD positive",
        "unknown images accepted when 95 % of the known ones are accepted",
        "AUROC, full spectrum ↑",
        "the same with unseen images of the source domains among the known ones",
        "ECE ↓",
        "AURC ↓",
        "risk at 95 % coverage ↓",
        "Brier score ↓",
        "OSCR ↑",
        "AUPR, unknown positive ↑",
        "FPR95, ID positive, full spectrum ↓",
        "errors among the surest 95 % of the images",
        "0123abcd",
        "predicted dog",
    ):
        assert phrase in text


def test_same_arguments_give_the_same_bytes(html: str, scores, world) -> None:
    again = render(evaluation_of(scores, world[1].history), links={"Data quality": "../validation/docs/index.html"})
    assert again == html


def test_names_are_escaped(scores, world) -> None:
    bad = "<b>&\"' $x_1$ _é日"
    renamed = scores.assign(
        method=scores["method"].replace("tuned", f"_{bad}"), target=scores["target"].replace("ink", bad)
    )
    lost = pd.DataFrame([{"method": f"_{bad}", "target": bad, "seed": 1, "settings": json.dumps({bad: bad})}])
    evaluation = evaluation_of(
        renamed,
        world[1].history.assign(method=f"_{bad}"),
        choice=Choice(f"_{bad}", bad, bad, RANKING.assign(method=bad), "auroc", UNSEEN),
        settings={f"_{bad}": {bad: bad}, "plain": {}},
        differences=(Difference("accuracy", f"_{bad}", bad, 0.0, 0.0, 0.0, 0.0, 2),),
        diverged=lost,
    )
    html = render(evaluation, title=bad, gallery=Gallery({bad: [Example(png(), bad, bad)]}), lineage={bad: bad})
    page = Page(html)
    assert page.open == []
    assert "<b>&" not in html
    assert page.text.count(bad) > 10


def test_without_unknown_classes_and_training_the_page_says_so(scores, world) -> None:
    page = Page(render(evaluation_of(scores[scores["role"] != TEST_UNKNOWN], world[1].history.head(0))))
    assert "Not measured: there is no unknown class" in page.text
    assert "No method was trained" in page.text
    assert page.tags["svg"] == 3


def test_one_seed_and_a_lost_domain(scores, world) -> None:
    kept = scores[(scores["seed"] == 1) & ~((scores["method"] == "tuned") & (scores["target"] == "oil"))]
    text = Page(render(evaluation_of(kept, world[1].history))).text
    assert "One seed was run" in text
    assert "no accuracy on every held-out domain" in text
    assert "–" in text


def test_settings_are_told_apart_from_shared_ones(html: str) -> None:
    text = " ".join(Page(html).text.split())
    differing, shared = text.index("What differs between the methods"), text.index("What they share")
    assert differing < text.index("train", differing) < shared < text.index("epochs", shared)


def test_figures_are_well_formed_and_leave_matplotlib_alone(scores, summary, world) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    methods = ["tuned", "plain"]
    drawn = [
        figures.accuracy_figure(accuracy_points(summary), methods),
        figures.roc_figure(roc_points(scores), methods),
        figures.histogram_figure(score_histogram(scores, 20), methods),
        figures.history_figure(history_points(world[1].history), methods),
    ]
    for text in drawn:
        words = "".join(ElementTree.fromstring(text).itertext())  # noqa: S314 - our own text
        assert "tuned" in words
    assert dict(mpl.rcParams) == before
    for word in ("ink", "oil", "web", "mean", "accuracy"):
        assert word in "".join(ElementTree.fromstring(drawn[0]).itertext())  # noqa: S314


def test_many_methods_get_looks_of_their_own() -> None:
    from pipeline.report.drawing import looks

    names = [f"method-{i}" for i in range(9)]
    assert len({tuple(look.values()) for look in looks(names).values()}) == 9
    assert looks(names) == looks(names[::-1])


def with_pool(scores):
    """The scores with half of each fit's unknown images in a pool."""
    half = (scores["role"] == TEST_UNKNOWN) & scores["path"].str.contains(r"[024]\.png")
    return scores.assign(open_set=scores["open_set"].mask(half, "textures"))


def test_each_open_set_has_its_own_table_and_panel(scores, world) -> None:
    html = render(evaluation_of(with_pool(scores), world[1].history))
    page = Page(html)
    text = " ".join(page.text.split())
    assert page.open == []
    for words in (
        "AUROC by open set",
        "Open set: unknown classes",
        "Open set: textures",
        "Mean over the open sets",
        "AUROC by held-out domain, mean over the open sets",
        "textures: images from another source",
    ):
        assert words in text
    assert page.tags["table"] == Page(render(evaluation_of(scores, world[1].history))).tags["table"] + 5


def test_without_a_held_out_domain_the_page_does_not_speak_of_a_new_style(scores, world) -> None:
    alone = scores[(scores["target"] == "oil") & scores["role"].isin([TEST_ID, TEST_UNKNOWN])]
    page = Page(render(evaluation_of(alone.assign(target=IN_DISTRIBUTION), world[1].history)))
    text = " ".join(page.text.split())
    assert "Accuracy on images that training never saw" in text
    assert "accuracy on an unseen domain was not measured" in text
    assert "AUROC by held-out domain" not in text
    assert "accuracy on held-out domains" not in text
    assert "full spectrum" not in text  # there is one kind of known images
    assert "risk at 95 % coverage" in text


def test_names_diverged_fits(world, manifest) -> None:
    features, fits, splits = world
    lost = (fits.table["method"] == "tuned") & (fits.table["target"] == "oil")
    fits = dataclasses.replace(fits, table=fits.table.assign(diverged=lost))
    result = evaluate(
        features, fits, splits, manifest, Evaluate(bootstrap=100, bins=20, hessian_probes=0), export=TUNED
    )
    text = Page(render(result)).text
    expected = "tuned diverged with oil held out, seed 1, and is left out. Its settings: train: True, epochs: 3."
    assert expected in text


def test_agreement_of_hessians_has_a_table_and_a_figure(world, manifest) -> None:
    plain, measured = (
        render(evaluate(*world, manifest, Evaluate(bootstrap=100, bins=20, hessian_probes=probes), export=TUNED))
        for probes in (0, 2)
    )
    assert "cosine, held-out with source" not in plain
    assert "cosine, held-out with source" in measured
    assert measured.count("<svg") == plain.count("<svg") + 1


def test_terminal_and_page_show_the_same_cells(scores, world) -> None:
    evaluation = evaluation_of(with_pool(scores), world[1].history)
    file = io.StringIO()
    print_metrics(evaluation.metrics, Console(file=file, width=200))
    page = Page(render(evaluation)).text
    for table in (by_domain(evaluation.metrics, "accuracy"), by_open_set(evaluation.metrics, "auroc")):
        for method, cells in table.rows:
            line = [method, *(word for cell in cells for word in cell.text.split())]
            assert line in [printed.split() for printed in file.getvalue().splitlines()]
            assert all(cell.text in page for cell in cells)
