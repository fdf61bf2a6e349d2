"""How the deployed method and its open-set score are chosen, and by what name they can be given instead."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.params.section import Count, NotNegative, Positive, Rate, Section, frozen

AUTO = "auto"
OF_WORDS = "neglabel"
"""The score that needs `backbone.words`."""
_OF_LOGITS = ("msp", "max-logit", "energy", "mcm", "max-cosine", "entropy", "gen", "energy-change")
_OF_FEATURES = ("knn", "mahalanobis", "relative-mahalanobis", "vim", OF_WORDS)
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


class ParityLimits(Section):
    """How far the answers of a graph may be from torch's, on validation images, at every batch size.

    difference: largest one of a probability, and of a score relative to max(1, |score|); null: any.
    label_flips, unknown_flips: shares of images whose class or whose unknown flag differs.
    accuracy: what may be lost.
    """

    difference: NotNegative | None = None
    label_flips: Rate = 0.01
    unknown_flips: Rate = 0.01
    accuracy: Rate = 0.005


def _limits() -> dict[str, ParityLimits]:
    exact = ParityLimits(difference=1e-4, label_flips=0.0, unknown_flips=0.0, accuracy=0.0)
    return {"fp32": exact, "fp16": ParityLimits(), "int8": ParityLimits()}


class Export(Section):
    """The deployed graph: its method, its open-set score, the share of known images that it accepts, its tolerance.

    threshold: of the scores of validation images, their quantile; the quantile that holds for new images of the same
        kind (conformal); or the largest quantile of any domain, so that each domain has the share accepted.
    embedding: whether the tower's raw features are an output of the graph.
    variants: what is made beside the fp32 graph, and offered where its decisions are those of torch.
    parity: limits by precision, or by precision@provider (fp32@cuda), which goes first.
    """

    method: str = AUTO
    score: str = AUTO
    accept: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    threshold: Literal["quantile", "conformal", "worst-domain"] = "quantile"
    tolerance: Positive = 1e-4
    parity_images: Count = 256
    embedding: bool = False
    variants: Annotated[tuple[Literal["fp16", "int8"], ...], BeforeValidator(frozen)] = ("int8",)
    parity: dict[str, ParityLimits] = Field(default_factory=_limits)

    def limits(self, precision: str, provider: str) -> ParityLimits:
        """Of a precision on a provider."""
        return self.parity.get(f"{precision}@{provider}") or self.parity.get(precision) or _limits()[precision]

    @model_validator(mode="after")
    def _precisions(self) -> Export:
        known = [f"{name}{place}" for name in _limits() for place in ("", "@cpu", "@cuda")]
        for name in self.parity:
            if name not in known:
                raise ValueError(f"parity: {name!r} is no precision; expected some of {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _score(self) -> Export:
        if self.score not in (AUTO, *SCORES):
            raise ValueError(f"score: {self.score!r} is no open-set score; known: {AUTO}, {', '.join(SCORES)}")
        return self
