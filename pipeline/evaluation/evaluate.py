"""The whole evaluation in one call: scores, summary, curves and report of every fit."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.curves import accuracy_points, history_points, roc_points, score_histogram
from pipeline.evaluation.hessian import (
    Agreement,
    hessian_agreement,
    hessian_metrics,
    hessian_pairs,
    hessian_points,
    penalty_effects,
)
from pipeline.evaluation.predict import score_fits
from pipeline.evaluation.summary import metrics_json, summarise
from pipeline.report.gallery import build_gallery
from pipeline.report.page import render_report
from pipeline.splits import known_by_fit
from pipeline.tables import DEPLOY, IN_DISTRIBUTION

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.features import Features
    from pipeline.fits import Fits

Metrics = dict[str, dict[str, dict[str, float | int | None]]]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation gives.

    Attributes:
        scores: SCORES table.
        metrics: {method: {held-out domain or "mean": {metric: value}}}.
        curves: tidy tables for `dvc plots`, by name.
        report: a self-contained HTML page.
    """

    scores: pd.DataFrame
    metrics: Metrics
    curves: dict[str, pd.DataFrame]
    report: str

    def flat_metrics(self) -> dict[str, float]:
        """Metrics as `method.target.metric`, without those that were not measured."""
        return {
            f"{method}.{target}.{name}": float(value)
            for method, targets in self.metrics.items()
            for target, values in targets.items()
            for name, value in values.items()
            if value is not None
        }


def evaluate(
    features: Features,
    fits: Fits,
    splits: pd.DataFrame,
    manifest: pd.DataFrame,
    *,
    root: Path,
    max_pixels: int,
    deployed: str,
    bootstrap: int,
    bins: int,
    hessian_probes: int = 0,
    lineage: Mapping[str, str],
) -> Evaluation:
    """Let every fit meet the domain, the classes and the open sets that it has not seen.

    Args:
        features, fits, splits, manifest: as the earlier stages wrote them.
        root: the data root, for the report's example images.
        max_pixels: above which an image is refused.
        deployed: the method that will be exported.
        bootstrap: resamples of test images for intervals.
        bins: of the score histograms.
        hessian_probes: random directions along which the Hessians of the domains are compared; 0 leaves that out.
        lineage: what made these numbers, for the report.
    Raises:
        DataError: no fit has converged, or an example image cannot be read.
    """
    scores = score_fits(features, fits, splits)
    summary = summarise(scores, bootstrap=bootstrap)
    table = fits.table
    diverged = table[table["diverged"]]
    settings = {str(row["method"]): json.loads(row["settings"]) for row in table.to_dict("records")}
    agreement = None
    if hessian_probes:
        pairs = hessian_pairs(features, fits, splits, manifest, probes=hessian_probes)
        by_fit = hessian_agreement(pairs)
        agreement = Agreement(pairs, by_fit, penalty_effects(by_fit, settings, bootstrap=bootstrap))
    report = render_report(
        title=root.name,
        deployed=deployed,
        summary=summary,
        scores=scores,
        history=fits.history,
        gallery=build_gallery(
            manifest,
            scores,
            root=root,
            classes=features.meta["classes"],
            known=known_by_fit(splits),
            method=deployed,
            max_pixels=max_pixels,
        ),
        settings={method: _flat(values) for method, values in settings.items()},
        lineage={"weights": features.meta["weights_sha256"], **lineage},
        bootstrap=bootstrap,
        bins=bins,
        agreement=agreement,
        links={"Data Docs: what the data gate checked": "../validation/docs/index.html"},
        notes=[_lost(row) for row in diverged.to_dict("records")],
    )
    curves = {
        "accuracy": accuracy_points(summary),
        "histogram": score_histogram(scores, bins),
        "history": history_points(fits.history),
        "roc": roc_points(scores),
    }
    metrics = metrics_json(summary)
    if agreement is not None:
        curves["hessian"] = hessian_points(agreement.pairs)
        for method, targets in hessian_metrics(agreement.fits).items():
            for target, values in targets.items():
                metrics[method][target] |= values
    return Evaluation(scores, metrics, curves, report)


def _lost(row: Mapping[Hashable, Any]) -> str:
    settings = ", ".join(f"{name}: {value}" for name, value in _flat(json.loads(row["settings"])).items())
    return (
        f"{row['method']} diverged with {_held_out(row['target'])}, seed {row['seed']}, and is left out; "
        f"it was set to {settings}."
    )


def _held_out(target: str) -> str:
    if target == DEPLOY:
        return "no domain held out (the deploy fit)"
    return "no domain held out" if target == IN_DISTRIBUTION else f"{target} held out"


def _flat(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings without nesting and without what was not chosen."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value))
        elif value is not None:
            flat[key] = value
    return flat
