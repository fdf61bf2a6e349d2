"""One self-contained HTML page that shows what a run found, how, and on which data; it opens with no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.compare import difference
from pipeline.evaluation.curves import accuracy_points, history_points, roc_points, score_histogram
from pipeline.evaluation.hessian import Agreement, verdicts
from pipeline.evaluation.summary import metrics_json
from pipeline.report import tables
from pipeline.report.gallery import ACCEPT, Gallery
from pipeline.report.headline import headline
from pipeline.report.wording import (
    NONE,
    OPEN_SET,
    by_accuracy,
    called,
    held_out,
    open_sets,
    targets_of,
    tested_on,
)
from pipeline.tables import MEAN, UNKNOWN_CLASSES

if TYPE_CHECKING:
    import pandas as pd

TEMPLATE = "report.html.j2"


def render_report(
    *,
    title: str,
    deployed: str,
    summary: pd.DataFrame,
    scores: pd.DataFrame,
    history: pd.DataFrame,
    gallery: Gallery,
    settings: Mapping[str, Mapping[str, object]],
    lineage: Mapping[str, str],
    bootstrap: int,
    bins: int,
    seed: int = 0,
    links: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    agreement: Agreement | None = None,
) -> str:
    """The report as HTML; the same arguments give the same bytes.

    Args:
        title: what was run, for instance the data set's name.
        deployed: the method that is exported.
        summary: from `summarise`.
        scores: SCORES table that it was made of.
        history: HISTORY table.
        gallery: images to show.
        settings: of each method, {method: {name: value}}.
        lineage: what made this page, {what: hash, commit or id}.
        bootstrap, seed: resamples of the test images, as in the summary.
        bins: of the score histograms.
        links: pages beside the report, {text: relative path}, for instance the Data Docs.
        notes: what else a reader must know, such as fits that diverged.
        agreement: of the domains' Hessians; without it (or without fits) that section says that it was not measured.
    Returns:
        HTML text.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    metrics = metrics_json(summary)
    methods = by_accuracy(metrics)
    others = [method for method in methods if method != deployed and deployed in metrics]
    differences = [difference(scores, deployed, other, bootstrap=bootstrap, seed=seed) for other in others]
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_url"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return environment.get_template(TEMPLATE).render(
        title=title,
        deployed=deployed,
        headline=headline(metrics, deployed, differences),
        tiles=tables.tiles(metrics, deployed),
        accuracy=tables.accuracy_rows(metrics),
        open_sets=open_sets(metrics),
        by_set=tables.set_rows(metrics),
        open_set_tables=tables.open_set_tables(metrics),
        auroc=tables.domain_rows(metrics, "auroc"),
        auroc_id=tables.domain_rows(metrics, "auroc_id") if tables.measured(metrics, "auroc_id") else [],
        targets=targets_of(metrics),
        held_out=held_out(metrics),
        tested_on=tested_on(metrics),
        called=called,
        unknown_classes=UNKNOWN_CLASSES,
        mean=MEAN,
        terms=OPEN_SET,
        base_rates=tables.base_rates(metrics),
        counts=tables.counts(metrics),
        figures=_figures(summary, scores, history, methods, bins, agreement),
        hessian=tables.hessian_rows(agreement.fits, methods) if agreement else [],
        verdicts=verdicts(agreement.effects) if agreement else [],
        gallery=gallery,
        accept=f"{100 * ACCEPT:.0f}",
        shared=tables.shared_settings(settings),
        differing=tables.differing_settings(settings),
        lineage=lineage,
        links=links or {},
        notes=notes,
        bootstrap=bootstrap,
        none=NONE,
    )


def _figures(
    summary: pd.DataFrame,
    scores: pd.DataFrame,
    history: pd.DataFrame,
    methods: Sequence[str],
    bins: int,
    agreement: Agreement | None,
) -> dict[str, Any]:
    from markupsafe import Markup

    from pipeline.report import figures

    roc, progress = roc_points(scores), history_points(history)
    drawn = {
        "accuracy": figures.accuracy_figure(accuracy_points(summary), methods),
        "roc": figures.roc_figure(roc, methods) if len(roc) else "",
        "histogram": figures.histogram_figure(score_histogram(scores, bins), methods),
        "history": figures.history_figure(progress, methods) if len(progress) else "",
        "hessian": figures.hessian_figure(agreement.fits, methods) if agreement and len(agreement.fits) else "",
        "hessian_pairs": figures.hessian_pairs_figure(agreement.pairs, agreement.effects, methods)
        if agreement and agreement.effects
        else "",
    }
    return {name: Markup(text) for name, text in drawn.items()}  # noqa: S704 - drawn by us; matplotlib escapes names
