"""All numbers in one call: scores, metrics, curves, comparisons and agreements of every fit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.decision.fit import Limits
from pipeline.detection.scores.spaces import option_of, options
from pipeline.evaluation import hessian
from pipeline.evaluation.choice import Choice, choose, validation_accuracies
from pipeline.evaluation.clusters import alike_groups
from pipeline.evaluation.compare import difference
from pipeline.evaluation.curves import accuracy_points, class_points, history_points, roc_points, score_histogram
from pipeline.evaluation.decisions import decisions
from pipeline.evaluation.difference import Difference
from pipeline.evaluation.intervals import with_intervals
from pipeline.evaluation.left_out import left_out_numbers
from pipeline.evaluation.predict import score_fits
from pipeline.evaluation.protocol import Protocols, protocols
from pipeline.evaluation.reliability import reliability_points
from pipeline.evaluation.resampled import resampled
from pipeline.evaluation.results import PROTOCOL, by_accuracy
from pipeline.evaluation.summary import Summary, summarise
from pipeline.params import Evaluate
from pipeline.params.choice import Export
from pipeline.splits import domain_of

COMPARED = ("accuracy", "auroc")
"""The metrics that have an interval over images, and in which methods are compared."""

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.features import Features
    from pipeline.fits import Fits


@dataclass(frozen=True)
class Evaluation:
    """The numbers of an evaluation.

    Attributes:
        choice: the method and the open-set score that will be exported, and why.
        scores: SCORES table, of that score.
        detection: DETECTION table, of every score.
        limits: temperature and threshold of each fit, from `score_fits`.
        protocols: what the ids in the rows of `metrics` stand for, from `protocols`.
        metrics: content of metrics.json, see `summarise`; with the intervals of all of COMPARED (near-duplicates are
            drawn together), and with the agreement of Hessians where that was measured.
        curves: tidy tables by name: accuracy, classes, decisions, histogram, history, reliability, roc, and hessian
            where that was measured.
        differences: of the deployed method against each other one, the most accurate first, in each of COMPARED that
            was measured.
        agreement: of the domains' Hessians, from `hessian_agreement`; no rows where it was not measured.
        effects: of the penalty on that agreement, from `penalty_effects`.
        settings: of each method, as trained.
        diverged: rows of the FITS table that are left out of everything above.
        bootstrap: resamples behind the intervals.
        accept: share of validation images that thresholds accept.
    """

    choice: Choice
    scores: pd.DataFrame
    detection: pd.DataFrame
    limits: pd.DataFrame
    protocols: Protocols
    metrics: Summary
    curves: Mapping[str, pd.DataFrame]
    differences: tuple[Difference, ...]
    agreement: pd.DataFrame
    effects: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Mapping[str, Any]]
    diverged: pd.DataFrame
    bootstrap: int
    accept: float

    @property
    def deployed(self) -> str:
        """The method that will be exported."""
        return self.choice.method


def evaluate(
    features: Features,
    fits: Fits,
    splits: pd.DataFrame,
    manifest: pd.DataFrame,
    settings: Evaluate,
    *,
    export: Export,
    left_out: tuple[Fits, pd.DataFrame] | None = None,
    rule: str = "harmonic-mean",
    near_duplicate_distance: int = 2,
) -> Evaluation:
    """Choose what is exported; test every fit on the domain, the classes and the open sets that it has not seen.

    The choice sees validation images of known classes alone: test rows come after it.

    Args:
        features, fits, splits, manifest: as the earlier stages wrote them.
        settings: resamples for intervals, bins of the score histograms, and the random directions along which the
            Hessians of the domains are compared; hessian_probes: 0 leaves that out.
        export: the method and score, where they are named, and how the threshold is set.
        left_out: fits without some of the known classes and domains, and their splits.
        rule: of `choice.RULES`.
        near_duplicate_distance: bits of 64 by which the perceptual hashes of images differ at most that the bootstrap
            draws together.
    Raises:
        DataError: no fit has converged, or a table does not fit the others.
    """
    import pandas as pd

    every = list(options(words=features.words is not None))
    numbers = left_out_numbers(*(left_out or (replace(fits, table=fits.table[:0]), splits)), features, every)
    choice = choose(validation_accuracies(fits.table), numbers, method=export.method, score=export.score, rule=rule)
    deployed, bootstrap = choice.method, settings.bootstrap
    limits = Limits(export.accept, export.threshold)
    scores, detection, limited = score_fits(
        features, fits, splits, option_of(choice.score), every, limits=limits, domains=domain_of(manifest)
    )
    groups = alike_groups(manifest, near_duplicate_distance)
    table = resampled(scores, COMPARED, resamples=bootstrap, groups=groups)
    metrics = with_intervals(summarise(scores), table)
    meta = features.meta
    prompts = {name: meta.get(name) for name in ("prompts", "classes", "names")}
    ids, described = protocols(scores, manifest, score=choice.score, prompts=prompts)
    for (method, target), number in ids.items():
        metrics[method][target][PROTOCOL] = number
    by_method = {str(row["method"]): json.loads(row["settings"]) for row in fits.table.to_dict("records")}
    curves = {
        "accuracy": accuracy_points(metrics),
        "classes": class_points(scores, manifest),
        "decisions": decisions(scores, limited),
        "histogram": score_histogram(scores, settings.bins),
        "history": history_points(fits.history),
        "reliability": reliability_points(scores),
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
    measured = [metric for metric in COMPARED if metric in table.index.unique("metric")]
    return Evaluation(
        choice=choice,
        scores=scores,
        detection=detection,
        limits=limited,
        protocols=described,
        metrics=metrics,
        curves=curves,
        differences=tuple(difference(table, metric, deployed, other) for other in others for metric in measured),
        agreement=agreement,
        effects=effects,
        settings=by_method,
        diverged=fits.table[fits.table["diverged"]],
        bootstrap=bootstrap,
        accept=export.accept,
    )
