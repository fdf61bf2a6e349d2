"""The section `finetune`: what all methods share, and each method's own settings as they were written.

`pipeline/methods/settings.py` checks the latter, because what a method can be set to is said where the method is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Count, NotNegative, Positive, Rate, Section


class Optimised(Section):
    """Settings of everything that is trained by mini-batches.

    lr, warmup_lr: after and during epoch 0; the former decays along a cosine.
    momentum: of SGD. weight_decay: coupled in SGD, decoupled in AdamW.
    batch_size: images; the incomplete last mini-batch of an epoch is dropped.
    select: the epoch that is kept: first maximum of source-validation accuracy, or the last.
    """

    lr: Positive = 0.002
    warmup_lr: Positive = 1e-5
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    weight_decay: NotNegative = 0.1
    epochs: Count = 30
    batch_size: Annotated[int, Field(ge=2)] = 32
    select: Literal["source-val", "last"] = "source-val"


class AdapterTraining(Optimised):
    """Settings of the linear adapters, CRoFT among them; `pipeline/croft/options.py` says what the open choices mean.

    preset: "paper" (alternating) or "released" (the authors' code and its update order).
    lambda_1, lambda_2: weights of the covariate term and of the energy-gradient penalty.
    generator: False leaves out the covariate-shift generator and every term of z^c.
    generator_steps: moves of the generator per mini-batch; 0 is possible in the released preset only.
    penalty_*: how the penalty is taken; None is the preset's own value.
    """

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


class Finetune(AdapterTraining):
    """What all methods share; each method names its kind (adapters by default) and overrides some settings."""

    methods: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _methods(self) -> Finetune:
        if not self.methods:
            raise ValueError("methods: expected at least one method")
        return self
