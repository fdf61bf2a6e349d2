"""The section `finetune`: what each kind of method is trained with."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from pipeline.params.section import Count, NotNegative, Positive, Rate, Section, first_problem


class _Optimised(Section):
    lr: Positive = 0.002
    warmup_lr: Positive = 1e-5
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    weight_decay: NotNegative = 0.1
    epochs: Count = 30
    batch_size: Annotated[int, Field(ge=2)] = 32
    select: Literal["source-val", "last"] = "source-val"


def preset_problem(preset: str, generator: bool, generator_steps: int, penalty_energy: str | None) -> str:
    """What a preset excludes among settings of adapters; "" where they go together."""
    if preset == "released" and not generator:
        return "generator: false is not a choice of the released preset; use preset: paper"
    if preset == "paper" and generator and generator_steps < 1:
        return "generator_steps: the paper preset needs at least 1, or generator: false"
    if preset == "paper" and penalty_energy == "exp-cosine":
        return (
            "penalty_energy: 'exp-cosine' is the authors' code and not the paper's energy; use preset: released, or "
            "penalty_energy: logsumexp"
        )
    return ""


class _Training(_Optimised):
    """Adapters; a `penalty_` key that is None takes the preset's own value (pipeline/croft/options.py)."""

    ratio_image: Rate = 0.2
    ratio_text: Rate = 0.5
    lambda_1: NotNegative = 15.0
    lambda_2: NotNegative = 10.0
    generator: bool = True
    generator_steps: Annotated[int, Field(ge=0)] = 1
    preset: Literal["paper", "released"] = "paper"
    covariate_weight: Literal["lambda_1", "one"] = "lambda_1"
    covariate_rows: Literal["generator", "adapter"] = "generator"
    covariate_branch: bool = True
    penalty_energy: Literal["logsumexp", "exp-cosine"] | None = None
    penalty_scaled: bool | None = None
    penalty_gradient: Literal["batch", "sample"] | None = None
    penalty_batch: Literal["mean", "sum"] | None = None
    penalty_entries: Literal["sum", "mean"] | None = None
    penalty_weights: Literal["separate", "shared"] | None = None
    penalty_form: Literal["closed", "double-backward"] | None = None
    train: bool = True


class _Adapters(_Training):
    kind: Literal["adapters"] = "adapters"

    @model_validator(mode="after")
    def _joint(self) -> _Adapters:
        problem = preset_problem(self.preset, self.generator, self.generator_steps, self.penalty_energy)
        if problem:
            raise ValueError(problem)
        return self


class _LinearProbe(_Optimised):
    kind: Literal["linear-probe"]
    optimizer: Literal["sgd", "adamw"] = "sgd"


class _ClipAdapter(_Optimised):
    kind: Literal["clip-adapter"]
    optimizer: Literal["sgd", "adamw"] = "sgd"
    ratio_image: Rate = 0.2
    reduction: Count = 4


class _TipAdapter(Section):
    kind: Literal["tip-adapter"]
    alpha: NotNegative = 1.0
    beta: NotNegative = 5.5
    select: Literal["source-val", "last"] = "source-val"


class _TipAdapterF(_Optimised):
    kind: Literal["tip-adapter-f"]
    optimizer: Literal["sgd", "adamw"] = "adamw"
    alpha: NotNegative = 1.0
    beta: NotNegative = 5.5


class _Coop(_Optimised):
    kind: Literal["coop"]
    optimizer: Literal["sgd", "adamw"] = "sgd"
    init: Literal["words", "random"] = "words"
    words: Annotated[str, Field(min_length=1)] = "a photo of a"
    context: Count = 16
    class_specific: bool = False


_KINDS: dict[str, type[BaseModel]] = {
    "adapters": _Adapters,
    "linear-probe": _LinearProbe,
    "clip-adapter": _ClipAdapter,
    "tip-adapter": _TipAdapter,
    "tip-adapter-f": _TipAdapterF,
    "coop": _Coop,
}


class Finetune(_Training):
    """What all methods share; each method names its kind (adapters by default) and overrides some settings."""

    methods: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _methods(self) -> Finetune:
        if not self.methods:
            raise ValueError("methods: expected at least one method")
        for name in self.methods:
            self.settings(name)
        return self

    def settings(self, method: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All settings of one method, those of its kind that are shared and its own, as plain values with its kind.

        Args:
            method: one of `methods`.
            changes: replace settings of the method, as a point of a sweep does.
        """
        own = self.methods[method] or {}
        kind = own.get("kind", "adapters")
        if kind not in _KINDS:
            near = difflib.get_close_matches(str(kind), _KINDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KINDS)}"
            raise ValueError(f"methods.{method}: unknown kind {kind!r}; {hint}")
        if "kind" in (changes or {}):
            raise ValueError("kind: a method's kind cannot be swept")
        model = _KINDS[kind]
        shared = {key: value for key, value in self.model_dump().items() if key in model.model_fields}
        try:
            return model.model_validate({**shared, **own, **(changes or {})}).model_dump()
        except ValidationError as error:
            raise ValueError(f"methods.{method}: {first_problem(error, model)}") from None
