"""How the deployed method and its open-set score are chosen, and by what name they can be given instead."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Count, Positive, Section

AUTO = "auto"
_OF_LOGITS = ("msp", "max-logit", "energy", "mcm", "max-cosine", "entropy", "gen", "energy-change")
_OF_FEATURES = ("knn", "mahalanobis", "relative-mahalanobis", "vim")
SCORES = (*(f"{name}{space}" for name in _OF_LOGITS for space in ("", "@zero-shot", "@both")), *_OF_FEATURES)
"""Open-set scores that a graph can be exported with; a test compares them with the catalogue."""


class Choose(Section):
    """Leaving classes and domains out: known ones stand in for unknown ones, so that validation data can choose.

    folds: parts that the known classes are cut into; 0: nothing is left out, and method and score must be named.
    seeds: of `split.seeds`, the first so many are tried, each with a cut of its own.
    rule: what makes a method with a score the best.
    """

    folds: Annotated[int, Field(ge=0)] = 3
    seeds: Count = 3
    rule: Literal["harmonic-mean", "accuracy", "auroc"] = "harmonic-mean"

    @model_validator(mode="after")
    def _enough(self) -> Choose:
        if self.folds == 1:
            raise ValueError("folds: expected 0 or at least 2, so that each class is known to some fold")
        return self


class Export(Section):
    """The deployed graph: its method, its open-set score, the share of known images that it accepts, its tolerance.

    threshold: of the scores of validation images, their quantile; the quantile that holds for new images of the same
        kind (conformal); or the largest quantile of any domain, so that each domain has the share accepted.
    """

    method: str = AUTO
    score: str = AUTO
    accept: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    threshold: Literal["quantile", "conformal", "worst-domain"] = "quantile"
    tolerance: Positive = 1e-4
    parity_images: Count = 64

    @model_validator(mode="after")
    def _score(self) -> Export:
        if self.score not in (AUTO, *SCORES):
            raise ValueError(f"score: {self.score!r} is no open-set score; known: {AUTO}, {', '.join(SCORES)}")
        return self
