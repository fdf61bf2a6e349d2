"""The choices that the paper leaves open, by name, and what the two presets choose."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

from pipeline.errors import ParamsError

Preset = Literal["paper", "released"]


def check_choices(options: object, prefix: str = "") -> None:
    """Refuse a value that its Literal annotation does not list.

    Raises:
        ParamsError: naming the key, the value and what is allowed.
    """
    hints = get_type_hints(type(options))
    for field in fields(options):  # type: ignore[arg-type]
        allowed = get_args(hints[field.name])
        value = getattr(options, field.name)
        if allowed and all(isinstance(item, str) for item in allowed) and value not in allowed:
            raise ParamsError(f"{prefix}{field.name}: {value!r} is none of {', '.join(allowed)}")


@dataclass(frozen=True)
class Penalty:
    """How the energy-gradient penalty is taken; in params.yaml each field is a key `penalty_<field>`.

    energy: "logsumexp" is E_i = -logsumexp_j(κ cos_ij), the energy that the paper states (Liu et al., NeurIPS 2020);
        "exp-cosine" is the authors' code, E_i = Σ_j exp(κ cos_ij), for the released preset only.
    scaled: κ = s with it, 1 without (as in the authors' code).
    gradient: "batch" squares the gradient of the batch's energy, "sample" averages (sums) each row's squared gradient.
    batch: "mean" or "sum" over the rows (over rows and classes for "exp-cosine").
    entries: "sum" or "mean" over the entries of the D x D gradient.
    weights: "separate" adds the squared norms for W_I and W_T; "shared" takes one perturbation added to both.
    form: "closed" (row products or Gram matrices) or "double-backward" (the reference, slower).
    """

    energy: Literal["logsumexp", "exp-cosine"] = "logsumexp"
    scaled: bool = False
    gradient: Literal["batch", "sample"] = "batch"
    batch: Literal["mean", "sum"] = "mean"
    entries: Literal["sum", "mean"] = "sum"
    weights: Literal["separate", "shared"] = "separate"
    form: Literal["closed", "double-backward"] = "closed"

    def __post_init__(self) -> None:
        check_choices(self, "penalty_")
        if not isinstance(self.scaled, bool):
            raise ParamsError(f"penalty_scaled: {self.scaled!r} is none of true, false")


@dataclass(frozen=True)
class PaperOptions:
    """Open choices of the paper's objective.

    covariate_weight: weight of CE(z^c) in the adapters' loss: "lambda_1" (as L_c as a whole) or "one" (as in the
        authors' code, where λ1 weighs only the pull towards the class).
    covariate_rows: what L_e(z^c) differentiates: "generator", through z^c = n(z_I G + z_I) with G fixed, or "adapter",
        z^c put through the image adapter once more (as in the authors' code).
    """

    covariate_weight: Literal["lambda_1", "one"] = "lambda_1"
    covariate_rows: Literal["generator", "adapter"] = "generator"

    def __post_init__(self) -> None:
        check_choices(self)


# The paper leaves all but the energy open; docs/defaults.md holds the ablation behind "paper". The authors' code takes
# (batch="mean", entries="sum") for leave-one-domain-out (Setup II) and (batch="sum", entries="mean") for known and
# unknown classes (Setup I): penalty_batch: sum, penalty_entries: mean in params.yaml.
PENALTIES: dict[str, Penalty] = {
    "paper": Penalty(),
    "released": Penalty(energy="exp-cosine", scaled=False, weights="shared"),
}
