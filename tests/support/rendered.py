"""A report of made-up numbers."""

from __future__ import annotations

import io

import pandas as pd
from PIL import Image

from pipeline.evaluation.choice import UNSEEN, Choice
from pipeline.evaluation.curves import accuracy_points, history_points, roc_points, score_histogram
from pipeline.evaluation.decisions import decisions
from pipeline.evaluation.difference import Difference
from pipeline.evaluation.evaluate import Evaluation
from pipeline.evaluation.hessian import COLUMNS
from pipeline.evaluation.intervals import with_intervals
from pipeline.evaluation.reliability import reliability_points
from pipeline.evaluation.resampled import resampled
from pipeline.evaluation.summary import summarise
from pipeline.params.choice import Export
from pipeline.report.gallery import Example, Gallery
from pipeline.report.page import render_report
from pipeline.tables import DETECTION, FITS

TUNED = Export(method="tuned", score="energy")
RANKING = pd.DataFrame(
    [("tuned", "energy", 0.9, 0.8, 0.8471), ("plain", "mcm", 0.8, 0.8, 0.8)],
    columns=["method", "option", "accuracy", "auroc", "value"],
)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, format="PNG")
    return buffer.getvalue()


def evaluation_of(scores, history, **changes) -> Evaluation:
    """What `evaluate` makes of a SCORES and a HISTORY table."""
    metrics = with_intervals(summarise(scores), resampled(scores, ("accuracy", "auroc"), resamples=100))
    choice = Choice("tuned", "energy", "tuned with energy is the best of 2.", RANKING, "harmonic-mean", UNSEEN)
    keys = scores[["method", "target", "seed"]].drop_duplicates()
    limits = keys.assign(temperature=1.0, threshold=float(scores["score"].median()), images=9, notes="")
    arguments = {
        "choice": choice,
        "scores": scores,
        "detection": pd.DataFrame(columns=list(DETECTION.columns)),
        "limits": limits,
        "protocols": {},
        "metrics": metrics,
        "curves": {
            "accuracy": accuracy_points(metrics),
            "decisions": decisions(scores, limits),
            "histogram": score_histogram(scores, 20),
            "history": history_points(history),
            "reliability": reliability_points(scores),
            "roc": roc_points(scores),
        },
        "differences": (Difference("accuracy", "tuned", "plain", 0.02, 0.01, 0.03, 0.01, 2),),
        "agreement": pd.DataFrame(columns=list(COLUMNS)),
        "effects": (),
        "settings": {"plain": {"train": False, "epochs": 30}, "tuned": {"train": True, "epochs": 30}},
        "diverged": pd.DataFrame(columns=list(FITS.columns)),
        "bootstrap": 100,
        "accept": 0.95,
    }
    return Evaluation(**(arguments | changes))


def render(evaluation: Evaluation, **changes) -> str:
    example = Example(png(), "bee")
    arguments = {
        "gallery": Gallery({"ink": [example], "oil": [example]}, [Example(png(), "cat", "predicted dog")], [example]),
        "title": "a data set",
        "lineage": {"git commit": "0123abcd", "data": "md5 4567"},
    }
    return render_report(evaluation, **(arguments | changes))
