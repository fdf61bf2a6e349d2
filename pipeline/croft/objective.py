"""The paper's objective: what the adapters minimise while the generator is held fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pipeline.croft.adapters import Weights, cross_entropy, logits
from pipeline.croft.generator import alignment, covariate
from pipeline.croft.penalty import energy_gradient_penalty

Terms = dict[str, Tensor]


def adapter_terms(
    features: Tensor,
    text: Tensor,
    adapted_image: Tensor,
    adapted_text: Tensor,
    weights: Weights,
    labels: Tensor,
    *,
    ratio_image: Tensor | float,
    ratio_text: Tensor | float,
    lambda_1: Tensor | float,
    lambda_2: Tensor | float,
    scale: float,
    penalised: bool = True,
    penalty: Mapping[str, Any],
    covariate_weight: str = "lambda_1",
    covariate_rows: str = "generator",
    blended: tuple[Tensor, Tensor] | None = None,
) -> Terms:
    """Terms of L = CE(s z_I z_Tᵀ, y) + λ1 L_c + λ2 (L_e(z_I) + L_e(z^c)), with
    L_c = CE(s z^c z_Tᵀ, y) - mean_ij [y_i = y_j] ⟨z^c_i, z_I,j⟩ (paper, objective of CRoFT).

    Args:
        features: (R, B, D) raw image features.
        text: (R, C, D) or (C, D) raw text features.
        adapted_image, adapted_text: z_I (R, B, D) and z_T (R, C, D) of the same weights.
        weights: matrices (R, D, D); `generator` None leaves out every term of z^c. It is taken as constant.
        labels: (R, B) int64.
        ratio_image, ratio_text: (R,) or numbers in [0, 1].
        lambda_1, lambda_2: (R,) or numbers >= 0.
        scale: s > 0.
        penalised: False leaves L_e out (where λ2 is 0).
        penalty: arguments of `energy_gradient_penalty`, `scale` included.
        covariate_weight, covariate_rows: see `options.PaperOptions`.
        blended: what `adapted_image` and `adapted_text` were before they were normalised; saves their products.
    Returns:
        (R,) each: loss, cross_entropy and, where present, covariate (L_c as weighted in the loss) and penalty.
    """
    terms: Terms = {"cross_entropy": cross_entropy(logits(adapted_image, adapted_text, scale), labels)}
    loss = terms["cross_entropy"]
    shifted = None
    generator = None if weights.generator is None else weights.generator.detach()
    if generator is not None:
        shifted = covariate(adapted_image, generator)
        classified = cross_entropy(logits(shifted, adapted_text, scale), labels)
        pull = alignment(shifted, adapted_image, labels)
        weighted = lambda_1 * classified if covariate_weight == "lambda_1" else classified
        terms["covariate"] = weighted - lambda_1 * pull
        loss = loss + terms["covariate"]
    if penalised:
        fixed = (text, weights.image, weights.text, ratio_image, ratio_text)
        value = energy_gradient_penalty(features, *fixed, blended=blended, **penalty)
        if shifted is not None and covariate_rows == "generator":
            value = value + energy_gradient_penalty(features, *fixed, generator=generator, blended=blended, **penalty)
        elif shifted is not None:
            value = value + energy_gradient_penalty(shifted, *fixed, **penalty)
        terms["penalty"] = value
        loss = loss + lambda_2 * value
    return {"loss": loss, **terms}
