"""The objective exactly as the authors' code computes it, with its mixed orientations and stale features.

Kept to reproduce published numbers; `objective.py` is the method as the paper states it.
"""

from __future__ import annotations

import torch

from pipeline.croft.adapters import Weights, cross_entropy, logits, normalise, per_run
from pipeline.croft.generator import alignment, covariate
from pipeline.croft.objective import Adapted, Batch, Terms
from pipeline.croft.options import Objective
from pipeline.croft.penalty import energy_gradient_penalty

PERTURBATION = 1e-4  # the authors differentiate at W + 1e-4 and not at W


def released_terms(batch: Batch, adapted: Adapted, weights: Weights, objective: Objective) -> Terms:
    """Terms of CE(z_I) + L1 + λ2 L_e as released; nothing is detached.

    Args:
        batch: one mini-batch.
        adapted: z_I and z_T, in training those of the weights *before* the generator steps.
        weights: all three matrices (R, D, D), in training those *after* the generator steps.
        objective: its `covariate_branch` chooses between the two formulas of the authors' code.
    Returns:
        (R,) each: loss, cross_entropy, covariate (L1), penalty (L_e).
    """
    labels, scale, ratios = batch.labels, objective.scale, objective.ratios
    shifted = covariate(adapted.image, weights.shift)
    plain = normalise(batch.features)
    entropy = cross_entropy(logits(adapted.image, adapted.text, scale), labels)
    rows = plain
    if objective.covariate_branch:
        share = per_run(ratios.image)
        mixed = share * shifted + (1 - share) * (shifted @ weights.image)
        shift_term = cross_entropy(logits(mixed, adapted.text, scale), labels)
        shift_term = shift_term - objective.lambda_1 * alignment(shifted, plain, labels)
        rows = torch.cat([plain.expand_as(shifted), shifted], -2)  # (R, 2B, D)
    else:
        shift_term = cross_entropy(logits(shifted, adapted.text, scale), labels)
    terms: Terms = {"cross_entropy": entropy, "covariate": shift_term}
    loss = entropy + shift_term
    if objective.penalty is not None:
        # Transposed: the authors multiply by W here and by Wᵀ in the forward pass.
        swapped = Weights((weights.image + PERTURBATION).mT, (weights.text + PERTURBATION).mT, None)
        terms["penalty"] = energy_gradient_penalty(rows, normalise(batch.text), swapped, ratios, objective.penalty)
        loss = loss + objective.lambda_2 * terms["penalty"]
    return {"loss": loss, **terms}
