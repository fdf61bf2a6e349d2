"""One mini-batch of each preset: which loss moves which matrix, and in which order."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.croft.adapters import Gradients, Weights
from pipeline.croft.generator import generator_loss
from pipeline.croft.objective import Batch, Terms, adapt_batch, adapter_terms
from pipeline.croft.options import Objective
from pipeline.croft.released import released_terms

Update = Callable[[Gradients], Weights]  # returns the moved weights


def paper_step(batch: Batch, weights: Weights, update: Update, objective: Objective) -> Terms:
    """Alternate: `generator_steps` moves of G on its loss, then one move of W_I, W_T on theirs, the other side fixed.

    Args:
        batch: one mini-batch.
        weights: the starting matrices; `generator` None trains the adapters alone.
        update: applies gradients and returns the moved weights.
        objective: numbers and open choices.
    Returns:
        Detached terms (R,) of the mini-batch, with `generator_loss` of the last generator step where there is one.
    """
    leaves = Weights(_leaf(weights.image), _leaf(weights.text), weights.generator)
    adapted = adapt_batch(batch, leaves, objective.ratios)
    terms: Terms = {}
    if weights.generator is not None:
        image, text = adapted.image.detach(), adapted.text.detach()
        for _ in range(objective.generator_steps):
            matrix = _leaf(weights.shift)
            loss = generator_loss(image, text, matrix, batch.labels, objective.lambda_1, objective.scale)
            (gradient,) = torch.autograd.grad(loss.sum(), [matrix])
            weights = update(Gradients(None, None, gradient))
            terms["generator_loss"] = loss
    terms |= adapter_terms(batch, adapted, leaves._replace(generator=weights.generator), objective)
    gradients = torch.autograd.grad(terms["loss"].sum(), [leaves.image, leaves.text])
    update(Gradients(gradients[0], gradients[1], None))
    return {name: value.detach() for name, value in terms.items()}


def released_step(batch: Batch, weights: Weights, update: Update, objective: Objective) -> Terms:
    """The authors' order: one forward pass; every generator step and the last step move all three matrices.

    z_I and z_T stay those of the starting weights, while L1 and L_e see the matrices that the generator steps moved.

    Args:
        As in `paper_step`; there must be a generator.
    Returns:
        Detached terms (R,) of the mini-batch.
    """
    stale = Weights(_leaf(weights.image), _leaf(weights.text), None)
    adapted = adapt_batch(batch, stale, objective.ratios)
    terms: Terms = {}
    for _ in range(objective.generator_steps):
        matrix = _leaf(weights.shift)
        loss = generator_loss(adapted.image, adapted.text, matrix, batch.labels, objective.lambda_1, objective.scale)
        leaves = [stale.image, stale.text, matrix]
        weights = update(Gradients(*torch.autograd.grad(loss.sum(), leaves, retain_graph=True)))
        terms["generator_loss"] = loss
    fresh = Weights(_leaf(weights.image), _leaf(weights.text), _leaf(weights.shift))
    terms |= released_terms(batch, adapted, fresh, objective)
    # A matrix that entered only one of the two passes (no penalty, no covariate branch) has no gradient in the other.
    leaves = [stale.image, stale.text, fresh.image, fresh.text, fresh.shift]
    gradients = torch.autograd.grad(terms["loss"].sum(), leaves, allow_unused=True)
    old_image, old_text, new_image, new_text, shift = gradients
    update(Gradients(_add(old_image, new_image), _add(old_text, new_text), shift))
    return {name: value.detach() for name, value in terms.items()}


def _leaf(weight: Tensor) -> Tensor:
    return weight.detach().requires_grad_()


def _add(first: Tensor, second: Tensor | None) -> Tensor:
    return first if second is None else first + second
