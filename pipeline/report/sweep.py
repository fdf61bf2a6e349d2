"""The page of a sweep: the choice, a heat map per measure, every configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.evaluation.sweep import MEASURES, by_choice, means_by_configuration
from pipeline.report.heatmap import heatmap_figure
from pipeline.report.template import drawn, render
from pipeline.report.wording import OPEN_SET, headed, percent

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.evaluation.choice import Choice

TERMS = {
    "left_out_accuracy": ("accuracy, left out", "validation images of a source domain that was left out"),
    "left_out_auroc": ("AUROC, left out", "validation images of known classes against those of classes left out"),
    "value": ("value", "the two before together (this chooses)"),
    "validation_accuracy": ("source validation", "accuracy on validation images of the source domains"),
    "accuracy": ("held-out accuracy", "known images of the held-out domain that are classified correctly"),
    **OPEN_SET,
}
"""Name and meaning of each of MEASURES."""


def sweep_report(table: pd.DataFrame, choice: Choice, *, title: str, lineage: Mapping[str, str]) -> str:
    """The page as HTML; the same arguments give the same bytes.

    Args:
        table: SWEEP table.
        choice: whose method is a configuration.
        title: what was run, for instance the data set's name.
        lineage: what made this page, {what: hash, commit or id}.
    """
    means, chosen = means_by_configuration(table), choice.method
    points = {str(name): json.loads(point) for name, point in means["point"].items()}
    figures = []
    for measure in MEASURES:
        if means[measure].notna().any():
            name, meaning = TERMS[measure]
            values = dict(zip(points, means[measure].tolist(), strict=True))
            figures.append((headed(measure, name), meaning, drawn(heatmap_figure(points, values, chosen))))
    ordered = by_choice(means)
    return render(
        "sweep.html.j2",
        title=title,
        chosen=points[chosen],
        score=choice.score,
        reason=choice.reason,
        runs=len(table),
        targets=table["target"].nunique(),
        seeds=table["seed"].nunique(),
        figures=figures,
        measures=[TERMS[measure][0] for measure in MEASURES],
        axes=list(points[chosen]),
        rows=[
            (name == chosen, list(points[name].values()), int(row["diverged"]), [percent(row[m]) for m in MEASURES])
            for name, row in zip(ordered.index, ordered.to_dict("records"), strict=True)
        ],
        lineage=lineage,
    )
