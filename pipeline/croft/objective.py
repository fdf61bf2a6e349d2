"""The paper's objective: what the adapters minimise while the generator is held fixed."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from pipeline.croft.adapters import Weights, blend, cross_entropy, logits, normalise
from pipeline.croft.generator import alignment, covariate
from pipeline.croft.options import Objective, Ratios
from pipeline.croft.penalty import energy_gradient_penalty

Terms = dict[str, Tensor]


class Batch(NamedTuple):
    """One mini-batch of R runs: features (R, B, D) and text (R, C, D) or (C, D), raw; labels (R, B) int64 in [0, C)."""

    features: Tensor
    text: Tensor
    labels: Tensor


class Adapted(NamedTuple):
    """z_I (R, B, D) and z_T (R, C, D) of one pair of weights, and both as they were before they were normalised."""

    image: Tensor
    text: Tensor
    blended: tuple[Tensor, Tensor]


def adapt_batch(batch: Batch, weights: Weights, ratios: Ratios) -> Adapted:
    """Both sides of a mini-batch through their adapters."""
    blended = blend(batch.features, weights.image, ratios.image), blend(batch.text, weights.text, ratios.text)
    return Adapted(normalise(blended[0]), normalise(blended[1]), blended)


def adapter_terms(batch: Batch, adapted: Adapted, weights: Weights, objective: Objective) -> Terms:
    """Terms of L = CE(s z_I z_Tᵀ, y) + λ1 L_c + λ2 (L_e(z_I) + L_e(z^c)), with
    L_c = CE(s z^c z_Tᵀ, y) - mean_ij [y_i = y_j] ⟨z^c_i, z_I,j⟩ (paper, objective of CRoFT).

    Args:
        batch: one mini-batch.
        adapted: of the same weights; the penalty takes its products from there.
        weights: matrices (R, D, D); `generator` None leaves out every term of z^c. It is taken as constant.
        objective: numbers and open choices.
    Returns:
        (R,) each: loss, cross_entropy and, where present, covariate (L_c as weighted in the loss) and penalty.
    """
    labels, scale, lambda_1 = batch.labels, objective.scale, objective.lambda_1
    terms: Terms = {"cross_entropy": cross_entropy(logits(adapted.image, adapted.text, scale), labels)}
    loss = terms["cross_entropy"]
    shifted = None
    generator = None if weights.generator is None else weights.generator.detach()
    if generator is not None:
        shifted = covariate(adapted.image, generator)
        classified = cross_entropy(logits(shifted, adapted.text, scale), labels)
        pull = alignment(shifted, adapted.image, labels)
        weighted = lambda_1 * classified if objective.covariate_weight == "lambda_1" else classified
        terms["covariate"] = weighted - lambda_1 * pull
        loss = loss + terms["covariate"]
    if objective.penalty is not None:
        plain, common = weights._replace(generator=None), (objective.ratios, objective.penalty)
        value = energy_gradient_penalty(batch.features, batch.text, plain, *common, blended=adapted.blended)
        if shifted is not None and objective.covariate_rows == "generator":
            moved = weights._replace(generator=generator)
            value = value + energy_gradient_penalty(batch.features, batch.text, moved, *common, blended=adapted.blended)
        elif shifted is not None:
            value = value + energy_gradient_penalty(shifted, batch.text, plain, *common)
        terms["penalty"] = value
        loss = loss + objective.lambda_2 * value
    return {"loss": loss, **terms}
