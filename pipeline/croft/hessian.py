"""Do the classification loss's Hessians agree between domains? Exact Hessian-vector products with random probes."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.croft.adapters import Weights, adapt, cross_entropy, logits
from pipeline.croft.options import Ratios

_CELLS = 2**20  # probes x weights at a time: at D = 128 and K = 4, 16 probes took half the time of one after another


def domain_grams(
    features: Tensor,
    labels: Tensor,
    text: Tensor,
    weights: Weights,
    probes: Tensor,
    *,
    ratios: Ratios,
    scale: float,
) -> Tensor:
    """Inner products (H_a v)·(H_b v) of every pair of domains, for each probe v.

    H_k is the Hessian, with respect to (W_I, W_T) together, of the mean cross-entropy on domain k. With independent
    entries of mean 0 and variance 1 in v, the mean over probes is unbiased for the Frobenius product ⟨H_a, H_b⟩
    (Hutchinson, 1990: E[vᵀ H_a H_b v] = tr(H_a H_b)); with scaled unit vectors as probes it is exact.

    Args:
        features: (K, N, D) raw image features, N images of each of K domains.
        labels: (K, N) int64 in [0, C).
        text: (C, D) raw text features.
        weights: W_I and W_T, (D, D).
        probes: (P, 2, D, D); [:, 0] perturbs W_I, [:, 1] W_T.
        ratios: numbers; scale: s > 0.
    Returns:
        (P, K, K), symmetric, not negative on the diagonal.
    """
    domains = len(features)
    stacked = [w.detach().expand(domains, -1, -1).clone().requires_grad_() for w in (weights.image, weights.text)]
    words = adapt(text, stacked[1], ratios.text)  # (K, C, D)
    loss = cross_entropy(logits(adapt(features, stacked[0], ratios.image), words, scale), labels)  # (K,)
    gradient = torch.autograd.grad(loss.sum(), stacked, create_graph=True)
    grams = []
    for part in torch.split(probes, max(1, _CELLS // stacked[0].numel())):
        # Domain k's loss sees only its own copy of the weights, so one backward gives H_k v for all k.
        along = [part[:, place, None].expand(-1, domains, -1, -1) for place in (0, 1)]  # (p, K, D, D) each
        products = torch.autograd.grad(gradient, stacked, along, retain_graph=True, is_grads_batched=True)
        rows = torch.cat([product.flatten(2) for product in products], dim=2)  # (p, K, 2 D²)
        grams.append(rows @ rows.mT)
    return torch.cat(grams)


def random_probes(count: int, width: int, *, seed: int, like: Tensor) -> Tensor:
    """Entries +1 and -1 with equal chance, (count, 2, width, width); the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (count, 2, width, width), generator=generator)
    return (2 * signs - 1).to(like)


def agreement(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and relative distance of Hessians, from their Frobenius products.

    Args:
        gram: (K, K), ⟨H_a, H_b⟩.
    Returns:
        cosine (K, K): ⟨H_a, H_b⟩ / (‖H_a‖ ‖H_b‖), 1 where they agree up to a factor.
        distance (K, K): ‖H_a - H_b‖ / sqrt((‖H_a‖² + ‖H_b‖²) / 2), 0 where they are equal, at most 2.
        NaN where a Hessian vanishes.
    """
    squares = gram.diagonal()
    cosine = gram / (squares[:, None] * squares[None, :]).sqrt()
    total = squares[:, None] + squares[None, :]
    distance = ((total - 2 * gram).clamp(min=0) / (total / 2)).sqrt()
    return cosine, distance
