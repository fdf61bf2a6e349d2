"""What the configurations of a sweep do on held-out domains (reported, never chosen by), and the page that shows it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.measures import measure, open_sets
from pipeline.evaluation.predict import score_fits
from pipeline.report.wording import HIGHER_IS_BETTER, OPEN_SET, percent

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.features import Features
    from pipeline.fits import Fits

HELD_OUT = {
    "accuracy": ("held-out accuracy", "known images of the held-out domain whose most likely class is right"),
    **OPEN_SET,
}
MEASURES = {
    "validation_accuracy": ("source validation", "accuracy on validation images of the source domains (this chooses)"),
    **HELD_OUT,
}
"""What a sweep shows: name and meaning; those of HELD_OUT are reported and never choose."""
TEMPLATE = "sweep.html.j2"


def held_out(validation: pd.DataFrame, features: Features, fits: Fits, splits: pd.DataFrame) -> pd.DataFrame:
    """Add HELD_OUT (detection: mean over the open sets) on the held-out domain to the rows of a sweep.

    Args:
        validation: configuration, target, seed and more; each row's fit is the one whose method is its configuration.
        features, fits, splits: as for `score_fits`; the splits with their test rows.
    Returns:
        The same rows with more columns; NaN where a run diverged or there is nothing to measure.
    """
    import pandas as pd

    rows = []
    scores = score_fits(features, fits, splits)
    sets = open_sets(scores)
    for (name, target, seed), part in scores.groupby(["method", "target", "seed"]):
        found = measure(part, sets)
        rows.append((name, target, seed, *(found[one] for one in HELD_OUT)))
    measured = pd.DataFrame(rows, columns=["configuration", "target", "seed", *HELD_OUT])
    return validation.merge(measured, on=["configuration", "target", "seed"], how="left", sort=False)


def sweep_metrics(table: pd.DataFrame, chosen: str) -> dict[str, Any]:
    """What the choice is and how it does; the other configurations stand in the table.

    Args:
        table: SWEEP table.
        chosen: a configuration.
    Returns:
        chosen (what it sets), configurations, runs, diverged, and of each measure its mean over held-out domains and
        seeds for the chosen configuration; regret: how much held-out accuracy another choice would have given.
    """
    means = means_by_configuration(table)
    own = means.loc[[chosen]].to_dict("records")[0]
    return {
        "chosen": json.loads(own["point"]),
        "configurations": len(means),
        "runs": len(table),
        "diverged": int(table["diverged"].sum()),
        **{name: _plain(own[name]) for name in MEASURES},
        "regret": _plain(means["accuracy"].max() - own["accuracy"]),
    }


def means_by_configuration(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of each measure over held-out domains and seeds, by configuration; NaN where any of its runs diverged."""
    means = table.groupby("configuration", sort=False).agg(
        point=("point", "first"), diverged=("diverged", "sum"), **{name: (name, "mean") for name in MEASURES}
    )
    means.loc[means["diverged"] > 0, list(MEASURES)] = math.nan
    return means


def sweep_report(table: pd.DataFrame, chosen: str, *, title: str, lineage: Mapping[str, str]) -> str:
    """A self-contained HTML page: the choice, a heat map per measure, every configuration.

    Args:
        table: SWEEP table; chosen: a configuration; title: what was run; lineage: what made this page.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from pipeline.report.heatmap import heatmap_figure

    means = means_by_configuration(table)
    points = {str(name): json.loads(point) for name, point in means["point"].items()}
    drawn = {}
    for name, (title_of, meaning) in MEASURES.items():
        if means[name].notna().any():
            figure = heatmap_figure(points, dict(zip(points, means[name].tolist(), strict=True)), chosen)
            arrow = "↑" if HIGHER_IS_BETTER.get(name, True) else "↓"
            drawn[f"{title_of} {arrow}", meaning] = Markup(figure)  # noqa: S704 - drawn by us
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    ordered = means.sort_values("validation_accuracy", ascending=False, kind="stable")
    return environment.get_template(TEMPLATE).render(
        title=title,
        chosen=points[chosen],
        runs=len(table),
        targets=table["target"].nunique(),
        seeds=table["seed"].nunique(),
        figures=drawn,
        measures=[title_of for title_of, _ in MEASURES.values()],
        axes=list(points[chosen]),
        rows=[
            (name == chosen, list(points[name].values()), int(row["diverged"]), [percent(row[m]) for m in MEASURES])
            for name, row in zip(ordered.index, ordered.to_dict("records"), strict=True)
        ],
        lineage=lineage,
    )


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
