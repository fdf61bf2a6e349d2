"""All numbers in one call: scores, metrics, curves, comparisons and agreements of every fit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.evaluation import hessian
from pipeline.evaluation.compare import Difference, difference
from pipeline.evaluation.curves import accuracy_points, class_points, history_points, roc_points, score_histogram
from pipeline.evaluation.predict import score_fits
from pipeline.evaluation.results import by_accuracy
from pipeline.evaluation.summary import Summary, summarise
from pipeline.params import Evaluate

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.features import Features
    from pipeline.fits import Fits


@dataclass(frozen=True)
class Evaluation:
    """The numbers of an evaluation.

    Attributes:
        scores: SCORES table.
        metrics: content of metrics.json, see `summarise`; with the agreement of Hessians where that was measured.
        curves: tidy tables by name: accuracy, classes, histogram, history, roc, and hessian where that was measured.
        differences: of the deployed method against each other one, the most accurate first.
        agreement: of the domains' Hessians, from `hessian_agreement`; no rows where it was not measured.
        effects: of the penalty on that agreement, from `penalty_effects`.
        settings: of each method, as trained.
        diverged: rows of the FITS table that are left out of everything above.
        deployed: the method that will be exported.
        bootstrap: resamples behind the intervals.
    """

    scores: pd.DataFrame
    metrics: Summary
    curves: Mapping[str, pd.DataFrame]
    differences: tuple[Difference, ...]
    agreement: pd.DataFrame
    effects: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Mapping[str, Any]]
    diverged: pd.DataFrame
    deployed: str
    bootstrap: int


def evaluate(
    features: Features,
    fits: Fits,
    splits: pd.DataFrame,
    manifest: pd.DataFrame,
    settings: Evaluate,
    *,
    deployed: str,
) -> Evaluation:
    """Test every fit on the domain, the classes and the open sets that it has not seen.

    Args:
        features, fits, splits, manifest: as the earlier stages wrote them.
        settings: resamples for intervals, bins of the score histograms, and the random directions along which the
            Hessians of the domains are compared; hessian_probes: 0 leaves that out.
        deployed: the method that will be exported.
    Raises:
        DataError: no fit has converged, or a table does not fit the others.
    """
    import pandas as pd

    scores, bootstrap = score_fits(features, fits, splits), settings.bootstrap
    metrics = summarise(scores, bootstrap=bootstrap)
    by_method = {str(row["method"]): json.loads(row["settings"]) for row in fits.table.to_dict("records")}
    curves = {
        "accuracy": accuracy_points(metrics),
        "classes": class_points(scores, manifest),
        "histogram": score_histogram(scores, settings.bins),
        "history": history_points(fits.history),
        "roc": roc_points(scores),
    }
    agreement, effects = pd.DataFrame(columns=list(hessian.COLUMNS)), []
    if settings.hessian_probes:
        pairs = hessian.hessian_pairs(features, fits, splits, manifest, probes=settings.hessian_probes)
        agreement = hessian.hessian_agreement(pairs)
        effects = hessian.penalty_effects(agreement, by_method, bootstrap=bootstrap)
        curves["hessian"] = hessian.hessian_points(pairs)
        for method, targets in hessian.hessian_metrics(agreement).items():
            for target, values in targets.items():
                metrics[method][target] |= values
    others = [method for method in by_accuracy(metrics) if method != deployed and deployed in metrics]
    return Evaluation(
        scores=scores,
        metrics=metrics,
        curves=curves,
        differences=tuple(difference(scores, deployed, other, bootstrap=bootstrap) for other in others),
        agreement=agreement,
        effects=effects,
        settings=by_method,
        diverged=fits.table[fits.table["diverged"]],
        deployed=deployed,
        bootstrap=bootstrap,
    )
