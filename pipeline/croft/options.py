"""What the objective is computed with: its numbers and the choices that the paper leaves open, as frozen values.

params.yaml has a key for each choice; `pipeline/methods/adapters.py` checks them and says what the presets take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor


class Ratios(NamedTuple):
    """Share of the adapted feature, of images and of text: (R,) or numbers, in [0, 1]."""

    image: Tensor | float
    text: Tensor | float


@dataclass(frozen=True)
class Penalty:
    """How the energy-gradient penalty is taken.

    energy: "logsumexp" is E_i = -logsumexp_j(κ cos_ij), the energy that the paper states (Liu et al., NeurIPS 2020);
        "exp-cosine" is the authors' code, E_i = Σ_j exp(κ cos_ij).
    scale: κ > 0, multiplies the cosines.
    gradient: "batch" squares the gradient of the batch's energy, "sample" averages (sums) each row's squared gradient.
    batch: "mean" or "sum" over the rows (over rows and classes for "exp-cosine").
    entries: "sum" or "mean" over the entries of the D x D gradient.
    weights: "separate" adds the squared norms for W_I and W_T; "shared" takes one perturbation added to both.
    form: "closed" (row products or Gram matrices) or "double-backward" (the reference, slower).
    """

    energy: Literal["logsumexp", "exp-cosine"] = "logsumexp"
    scale: float = 1.0
    gradient: Literal["batch", "sample"] = "batch"
    batch: Literal["mean", "sum"] = "mean"
    entries: Literal["sum", "mean"] = "sum"
    weights: Literal["separate", "shared"] = "separate"
    form: Literal["closed", "double-backward"] = "closed"


@dataclass(frozen=True, eq=False)
class Objective:
    """Numbers and choices of one loss; numbers are (R,) where runs are stacked.

    ratios: of the adapters.
    lambda_1, lambda_2: weights of the covariate term and of the penalty, >= 0.
    scale: s > 0 of the logits, 100 for CLIP.
    penalty: None leaves L_e out (where λ2 is 0).
    generator_steps: moves of the generator per mini-batch.
    covariate_weight: paper only; weight of CE(z^c) in the adapters' loss: "lambda_1" (as L_c as a whole) or "one" (as
        in the authors' code, where λ1 weighs only the pull towards the class).
    covariate_rows: paper only; what L_e(z^c) differentiates: "generator", through z^c = n(z_I G + z_I) with G fixed, or
        "adapter", z^c put through the image adapter once more (as in the authors' code).
    covariate_branch: released only. True: L1 passes z^c through the image weight, pulls it to n(f), and the penalty
        sees z^c too. False (in the authors' code for one data set, or without generator steps): L1 is CE(z^c), and the
        penalty sees n(f) alone.
    """

    ratios: Ratios
    lambda_1: Tensor | float
    lambda_2: Tensor | float
    scale: float
    penalty: Penalty | None = Penalty()
    generator_steps: int = 1
    covariate_weight: Literal["lambda_1", "one"] = "lambda_1"
    covariate_rows: Literal["generator", "adapter"] = "generator"
    covariate_branch: bool = True
