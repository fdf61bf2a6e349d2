"""The objective exactly as the authors' code computes it, with its mixed orientations and stale features.

Kept to reproduce published numbers; `objective.py` is the method as the paper states it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pipeline.croft.adapters import Weights, cross_entropy, logits, normalise, per_run
from pipeline.croft.generator import alignment, covariate
from pipeline.croft.objective import Terms
from pipeline.croft.penalty import energy_gradient_penalty

PERTURBATION = 1e-4  # the authors differentiate at W + 1e-4 and not at W


def released_terms(
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
    covariate_branch: bool,
    penalised: bool = True,
    penalty: Mapping[str, Any],
) -> Terms:
    """Terms of CE(z_I) + L1 + λ2 L_e as released; nothing is detached.

    Args:
        features: (R, B, D) raw image features.
        text: (R, C, D) or (C, D) raw text features.
        adapted_image, adapted_text: z_I (R, B, D), z_T (R, C, D), in training those of the weights *before* the
            generator steps.
        weights: all three matrices (R, D, D), in training those *after* the generator steps.
        labels: (R, B) int64.
        ratio_image, ratio_text, lambda_1, lambda_2, scale: as in the paper's objective.
        covariate_branch: True: L1 passes z^c through the image weight, pulls it to n(f), and the penalty sees z^c too.
            False (in the authors' code one data set, or no generator steps): L1 is CE(z^c), the penalty sees n(f) only.
        penalised: False leaves L_e out.
        penalty: arguments of `energy_gradient_penalty`, `scale` included.
    Returns:
        (R,) each: loss, cross_entropy, covariate (L1), penalty (L_e).
    """
    shifted = covariate(adapted_image, weights.shift)
    plain = normalise(features)
    entropy = cross_entropy(logits(adapted_image, adapted_text, scale), labels)
    rows = plain
    if covariate_branch:
        share = per_run(ratio_image)
        mixed = share * shifted + (1 - share) * (shifted @ weights.image)
        shift_term = cross_entropy(logits(mixed, adapted_text, scale), labels)
        shift_term = shift_term - lambda_1 * alignment(shifted, plain, labels)
        rows = torch.cat([plain.expand_as(shifted), shifted], -2)  # (R, 2B, D)
    else:
        shift_term = cross_entropy(logits(shifted, adapted_text, scale), labels)
    terms: Terms = {"cross_entropy": entropy, "covariate": shift_term}
    loss = entropy + shift_term
    if penalised:
        # Transposed: the authors multiply by W here and by Wᵀ in the forward pass.
        image, words = (weights.image + PERTURBATION).mT, (weights.text + PERTURBATION).mT
        terms["penalty"] = energy_gradient_penalty(
            rows, normalise(text), image, words, ratio_image, ratio_text, **penalty
        )
        loss = loss + lambda_2 * terms["penalty"]
    return {"loss": loss, **terms}
