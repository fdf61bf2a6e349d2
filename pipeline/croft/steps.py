"""One mini-batch of each preset: which loss moves which matrix, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pipeline.croft.adapters import Gradients, Weights, adapt, blend, normalise
from pipeline.croft.generator import generator_loss
from pipeline.croft.objective import Terms, adapter_terms
from pipeline.croft.released import released_terms

Update = Callable[[Gradients], Weights]  # returns the moved weights


def paper_step(
    features: Tensor,
    text: Tensor,
    labels: Tensor,
    weights: Weights,
    update: Update,
    *,
    ratio_image: Tensor | float,
    ratio_text: Tensor | float,
    lambda_1: Tensor | float,
    lambda_2: Tensor | float,
    scale: float,
    generator_steps: int,
    penalised: bool,
    penalty: Mapping[str, Any],
    covariate_weight: str,
    covariate_rows: str,
) -> Terms:
    """Alternate: `generator_steps` moves of G on its loss, then one move of W_I, W_T on theirs, the other side fixed.

    Args:
        features: (R, B, D); text: (R, C, D) or (C, D); labels: (R, B).
        weights: the starting matrices; `generator` None trains the adapters alone.
        update: applies gradients and returns the moved weights.
        Others: see `objective.adapter_terms`.
    Returns:
        Detached terms (R,) of the mini-batch, with `generator_loss` of the last generator step where there is one.
    """
    image_weight, text_weight = _leaf(weights.image), _leaf(weights.text)
    blended = blend(features, image_weight, ratio_image), blend(text, text_weight, ratio_text)
    image, words = (normalise(rows) for rows in blended)
    terms: Terms = {}
    if weights.generator is not None:
        fixed_image, fixed_words = image.detach(), words.detach()
        for _ in range(generator_steps):
            matrix = _leaf(weights.shift)
            loss = generator_loss(fixed_image, fixed_words, matrix, labels, lambda_1, scale)
            (gradient,) = torch.autograd.grad(loss.sum(), [matrix])
            weights = update(Gradients(None, None, gradient))
            terms["generator_loss"] = loss
    terms |= adapter_terms(
        features, text, image, words, Weights(image_weight, text_weight, weights.generator), labels,
        ratio_image=ratio_image, ratio_text=ratio_text, lambda_1=lambda_1, lambda_2=lambda_2, scale=scale,
        penalised=penalised, penalty=penalty, covariate_weight=covariate_weight, covariate_rows=covariate_rows,
        blended=blended,
    )  # fmt: skip
    gradients = torch.autograd.grad(terms["loss"].sum(), [image_weight, text_weight])
    update(Gradients(gradients[0], gradients[1], None))
    return {name: value.detach() for name, value in terms.items()}


def released_step(
    features: Tensor,
    text: Tensor,
    labels: Tensor,
    weights: Weights,
    update: Update,
    *,
    ratio_image: Tensor | float,
    ratio_text: Tensor | float,
    lambda_1: Tensor | float,
    lambda_2: Tensor | float,
    scale: float,
    generator_steps: int,
    covariate_branch: bool,
    penalised: bool,
    penalty: Mapping[str, Any],
) -> Terms:
    """The authors' order: one forward pass; every generator step and the last step move all three matrices.

    z_I and z_T stay those of the starting weights, while L1 and L_e see the matrices that the generator steps moved.

    Args:
        Shapes as in `paper_step`; options as in `released.released_terms`.
    Returns:
        Detached terms (R,) of the mini-batch.
    """
    stale = [_leaf(weights.image), _leaf(weights.text)]
    image = adapt(features, stale[0], ratio_image)
    words = adapt(text, stale[1], ratio_text)
    terms: Terms = {}
    for _ in range(generator_steps):
        matrix = _leaf(weights.shift)
        loss = generator_loss(image, words, matrix, labels, lambda_1, scale)
        weights = update(Gradients(*torch.autograd.grad(loss.sum(), [*stale, matrix], retain_graph=True)))
        terms["generator_loss"] = loss
    fresh = [_leaf(weights.image), _leaf(weights.text), _leaf(weights.shift)]
    terms |= released_terms(
        features, text, image, words, Weights(*fresh), labels,
        ratio_image=ratio_image, ratio_text=ratio_text, lambda_1=lambda_1, lambda_2=lambda_2, scale=scale,
        covariate_branch=covariate_branch, penalised=penalised, penalty=penalty,
    )  # fmt: skip
    # A matrix that entered only one of the two passes (no penalty, no covariate branch) has no gradient in the other.
    found = torch.autograd.grad(terms["loss"].sum(), [*stale, *fresh], allow_unused=True)
    old_image, old_text, new_image, new_text, matrix_gradient = found
    update(Gradients(_add(old_image, new_image), _add(old_text, new_text), matrix_gradient))
    return {name: value.detach() for name, value in terms.items()}


def _leaf(weight: Tensor) -> Tensor:
    return weight.detach().requires_grad_()


def _add(first: Tensor, second: Tensor | None) -> Tensor:
    return first if second is None else first + second
