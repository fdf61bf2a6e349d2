"""One self-contained HTML page that shows the results of a run, how they came about and on which data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.evaluation.choice import RULES, UNSEEN
from pipeline.evaluation.evaluate import Evaluation
from pipeline.evaluation.results import by_accuracy, held_out, measured, measured_open_sets
from pipeline.report import agreement, chosen, figures, tables
from pipeline.report.against import against_table
from pipeline.report.gallery import Gallery
from pipeline.report.headline import headline
from pipeline.report.settings import compared_settings, diverged_note
from pipeline.report.template import drawn, render, script
from pipeline.report.wording import CONFIDENCE, NONE, called, tested_on
from pipeline.tables import UNKNOWN_CLASSES


def render_report(
    evaluation: Evaluation,
    gallery: Gallery,
    *,
    title: str,
    lineage: Mapping[str, str],
    links: Mapping[str, str] | None = None,
) -> str:
    """The report as HTML, which opens without a network; the same arguments give the same bytes.

    Args:
        evaluation: from `evaluate`.
        gallery: images to show.
        title: what was run, for instance the data set's name.
        lineage: what made this page, {what: hash, commit or id}.
        links: pages next to the report, {text: relative path}, for instance the Data Docs.
    """
    metrics, deployed = evaluation.metrics, evaluation.deployed
    methods, sets = by_accuracy(metrics), measured_open_sets(metrics)
    shared, differing = compared_settings(evaluation.settings)
    terms, further = tables.detection_terms(metrics), tables.further_terms(metrics)
    named = [*sets, ""] if len(sets) > 1 else [""]
    return render(
        "report.html.j2",
        title=title,
        deployed=deployed,
        script=script("sort.js"),
        **_chosen(evaluation, methods),
        headline=headline(metrics, deployed, evaluation.differences),
        against=against_table(evaluation.differences),
        tiles=tables.tiles(metrics, deployed),
        accuracy=tables.by_domain(metrics, "accuracy"),
        open_sets=sets,
        auroc_by_set=tables.by_open_set(metrics, "auroc"),
        open_set_tables=[(called(name), tables.by_metric(metrics, name, terms=terms)) for name in sets],
        mean_table=tables.by_metric(metrics, terms=terms),
        auroc=tables.by_domain(metrics, "auroc"),
        auroc_id=tables.by_domain(metrics, "auroc_id") if measured(metrics, "auroc_id") else None,
        held_out=held_out(metrics),
        tested_on=tested_on(metrics),
        unknown_classes=UNKNOWN_CLASSES,
        terms=terms,
        further=[
            (called(name) if name else "mean over the open sets", tables.by_metric(metrics, name, terms=further))
            for name in named
        ],
        further_terms=further,
        confidence=tables.by_metric(metrics, terms=CONFIDENCE),
        confidence_terms=CONFIDENCE,
        counts=tables.counts(metrics),
        protocols=tables.protocol_rows(metrics, evaluation.protocols, deployed),
        figures=_figures(evaluation, methods),
        hessian=agreement.hessian_rows(evaluation.agreement, methods),
        verdicts=[agreement.verdict(effect) for effect in evaluation.effects],
        gallery=gallery,
        accept=f"{100 * evaluation.accept:g}",
        shared=shared,
        differing=differing,
        lineage=lineage,
        links=links or {},
        notes=[diverged_note(row) for row in evaluation.diverged.to_dict("records")],
        bootstrap=evaluation.bootstrap,
        none=NONE,
    )


def _chosen(evaluation: Evaluation, methods: Sequence[str]) -> dict[str, object]:
    """What `chosen.html.j2` shows."""
    choice, curves, deployed = evaluation.choice, evaluation.curves, evaluation.deployed
    detection, measured = evaluation.detection, deployed in set(curves["decisions"]["method"])
    headings, rows = chosen.score_table(detection, methods, choice) if len(detection) else ([], [])
    decision_headings, decisions = chosen.decision_rows(curves["decisions"], deployed) if measured else ([], [])
    limits = evaluation.limits
    notes = limits.loc[(limits["method"] == deployed) & (limits["notes"] != ""), ["target", "seed", "notes"]]
    return {
        "choice": choice,
        "unseen": UNSEEN,
        "rule": RULES[choice.rule][0],
        "ranking": chosen.ranking_rows(choice),
        "scores_headings": headings,
        "scores_rows": rows,
        "decision_headings": decision_headings,
        "decisions": decisions,
        "limit_notes": [f"{n.target}, seed {n.seed}: {n.notes}." for n in notes.itertuples(index=False)],
        "reliability": drawn(chosen.reliability_figure(curves["reliability"], deployed)) if measured else "",
    }


def _figures(evaluation: Evaluation, methods: Sequence[str]) -> dict[str, str]:
    curves, effects = evaluation.curves, evaluation.effects
    svgs = {
        "accuracy": figures.accuracy_figure(curves["accuracy"], methods),
        "histogram": figures.histogram_figure(curves["histogram"], methods),
        "roc": figures.roc_figure(curves["roc"], methods) if len(curves["roc"]) else "",
        "history": figures.history_figure(curves["history"], methods) if len(curves["history"]) else "",
        "hessian": agreement.hessian_figure(evaluation.agreement, methods) if len(evaluation.agreement) else "",
        "hessian_pairs": agreement.hessian_pairs_figure(curves["hessian"], effects, methods) if effects else "",
    }
    return {name: drawn(svg) for name, svg in svgs.items()}
