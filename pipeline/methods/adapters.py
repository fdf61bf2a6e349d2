"""Linear adapters with any objective: CRoFT, its ablations, and plain cross-entropy."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from pipeline.methods.contract import Arrays, ClassSet, Images, Method, Start, Step, Terms
from pipeline.papers import Paper
from pipeline.params.finetune import AdapterTraining

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.croft.options import Penalty

PENALTY = "penalty_"  # how the keys of `Penalty` start, among other settings
# The paper leaves all but the energy open; docs/defaults.md holds the ablation behind "paper". The authors' code takes
# (batch="mean", entries="sum") for leave-one-domain-out (Setup II) and (batch="sum", entries="mean") for known and
# unknown classes (Setup I): penalty_batch: sum, penalty_entries: mean in params.yaml.
PENALTIES: dict[str, dict[str, Any]] = {
    "paper": {
        "energy": "logsumexp", "scaled": False, "gradient": "batch", "batch": "mean", "entries": "sum",
        "weights": "separate", "form": "closed",
    },
    "released": {
        "energy": "exp-cosine", "scaled": False, "gradient": "batch", "batch": "mean", "entries": "sum",
        "weights": "shared", "form": "closed",
    },
}  # fmt: skip


class Options(AdapterTraining):
    """Settings that go together."""

    kind: Literal["adapters"] = "adapters"

    @model_validator(mode="after")
    def _joint(self) -> Options:
        released = self.preset == "released"
        if released and not self.generator:
            raise ValueError("generator: false is not a choice of the released preset; use preset: paper")
        if not released and self.generator and self.generator_steps < 1:
            raise ValueError("generator_steps: the paper preset needs at least 1, or generator: false")
        if not released and self.penalty_energy == "exp-cosine":
            raise ValueError(
                "penalty_energy: 'exp-cosine' is the authors' code and not the paper's energy; use preset: released, "
                "or penalty_energy: logsumexp"
            )
        return self


def penalty_choices(options: AdapterTraining) -> dict[str, Any]:
    """How the penalty is taken: what is set, and the preset's own values elsewhere; keys without their prefix."""
    preset = PENALTIES[options.preset]
    values = {name: getattr(options, PENALTY + name) for name in preset}
    return {name: preset[name] if value is None else value for name, value in values.items()}


@lru_cache(maxsize=64)  # asked for at every mini-batch
def penalty(options: AdapterTraining, scale: float) -> Penalty:
    """The penalty as the maths takes it; scale: s > 0, which multiplies its cosines with penalty_scaled."""
    from pipeline.croft.options import Penalty

    choices = penalty_choices(options)
    return Penalty(scale=scale if choices.pop("scaled") else 1.0, **choices)


def start(options: Options, seed: int, classes: ClassSet, images: Images) -> Start:
    """Identity matrices (D, D): W_I, W_T and, where there is one, the generator G."""
    import torch

    eye = torch.eye(classes.text.shape[-1], dtype=classes.text.dtype, device=classes.text.device)
    names = ["image_weight", "text_weight", *(["generator"] if options.generator else [])]
    return Start(dict.fromkeys(names, eye))


def step(batch: Step) -> Terms:
    """One mini-batch of the preset's order of updates."""
    from pipeline.croft.adapters import Gradients, Weights
    from pipeline.croft.objective import Batch
    from pipeline.croft.options import Objective, Ratios
    from pipeline.croft.steps import paper_step, released_step

    options, numbers = batch.options, batch.numbers

    def weights(learnt: Arrays) -> Weights:
        return Weights(learnt["image_weight"], learnt["text_weight"], learnt.get("generator"))

    def update(gradients: Gradients) -> Weights:
        named = zip(("image_weight", "text_weight", "generator"), gradients, strict=True)
        return weights(batch.update({name: gradient for name, gradient in named if gradient is not None}))

    objective = Objective(
        Ratios(numbers["ratio_image"], numbers["ratio_text"]),
        numbers["lambda_1"],
        numbers["lambda_2"],
        batch.classes.scale,
        penalty(options, batch.classes.scale) if options.lambda_2 > 0 else None,
        options.generator_steps,
        options.covariate_weight,
        options.covariate_rows,
        options.covariate_branch and options.generator_steps > 0,
    )
    order = released_step if options.preset == "released" else paper_step
    inputs = Batch(batch.features, batch.classes.text, batch.labels)
    return order(inputs, weights(batch.learnt), update, objective)


def derive(learnt: Arrays, numbers: Mapping[str, Tensor], options: Options, classes: ClassSet) -> Arrays:
    """Prototypes (C, D), z_T: text features, adapted and normalised."""
    from pipeline.croft.adapters import adapt

    return {"prototypes": adapt(classes.text, learnt["text_weight"], numbers["ratio_text"])}


def logits(
    features: Tensor, *, image_weight: Tensor, prototypes: Tensor, ratio_image: Tensor | float, scale: float
) -> Tensor:
    """Logits s z_I z_Tᵀ with z_I = n(r f W_Iᵀ + (1 - r) f) (Zhu et al., "CRoFT", ICML 2024).

    Args:
        features: (B, D) raw; image_weight: (D, D), W_I; prototypes: (C, D), z_T.
        ratio_image: r in [0, 1]; scale: s > 0.
    Returns:
        (B, C) in [-s, s].
    """
    from pipeline.croft import adapters

    return adapters.logits(adapters.adapt(features, image_weight, ratio_image), prototypes, scale)


def structure(options: Options) -> Hashable:
    """An unused penalty is not computed, so that it cannot overflow either."""
    return options.lambda_2 > 0


def record(options: AdapterTraining, *, train: bool = True) -> dict[str, Any]:
    """What was really taken: the choices of the preset that applies, and every value of the penalty."""
    values = options.model_dump()
    kept = {key: value for key, value in values.items() if not key.startswith(PENALTY)}
    for key in ("covariate_weight", "covariate_rows") if options.preset == "released" else ("covariate_branch",):
        del kept[key]
    chosen = {PENALTY + name: value for name, value in penalty_choices(options).items()}
    return kept | chosen | {"train": train}


PAPER = Paper(
    "Zhu et al.",
    "CRoFT: Robust Fine-Tuning with Concurrent Optimization for OOD Generalization and Open-Set OOD Detection",
    "ICML",
    2024,
    "https://arxiv.org/abs/2405.16417",
)
METHOD = Method(
    "adapters", Options, PAPER, start, logits, step=step, derive=derive, hidden=("generator",),
    scalars=("ratio_text",), structure=structure, record=record,
)  # fmt: skip
