"""Tip-Adapter: a cache of the training images, looked up by similarity; Tip-Adapter-F also trains its keys."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.croft.adapters import logits, normalise

ALPHAS = [0.1 + 2.9 * step / 19 for step in range(20)]  # the authors' search ranges, with fewer steps for β
BETAS = [0.1 + 6.9 * step / 19 for step in range(20)]


class Cache(NamedTuple):
    """keys (N, D): normalised features of the training images; values (N, C): their labels, one-hot."""

    keys: Tensor
    values: Tensor


def build_cache(views: Tensor, labels: Tensor, classes: int) -> Cache:
    """Cache of the training images: the normalised mean over their views, as in the authors' code.

    Views are normalised before the mean, too, so that none outweighs the others; the authors average them raw.

    Args:
        views: (N, V, D) raw features; labels: (N,) in [0, C); classes: C.
    """
    keys = normalise(normalise(views).mean(dim=1))
    return Cache(keys, functional.one_hot(labels, classes).to(views.dtype))


def tip_adapter_logits(
    features: Tensor,
    *,
    keys: Tensor,
    values: Tensor,
    prototypes: Tensor,
    alpha: float | Tensor,
    beta: float | Tensor,
    scale: float,
) -> Tensor:
    """Logits s n(f) z_Tᵀ + α exp(-β (1 - n(f) Kᵀ)) V (Zhang et al., "Tip-Adapter", ECCV 2022).

    Args:
        features: (B, D) raw; keys: (N, D); values: (N, C); prototypes: (C, D) normalised.
        alpha: weight of the cache, >= 0; beta: sharpness, >= 0; scale: s > 0.
    Returns:
        (B, C).
    """
    image = normalise(features)
    return logits(image, prototypes, scale) + alpha * (torch.exp(-beta * (1 - image @ keys.mT)) @ values)


def search_alpha_beta(
    features: Tensor,
    labels: Tensor,
    *,
    keys: Tensor,
    values: Tensor,
    prototypes: Tensor,
    scale: float,
    alpha: float,
    beta: float,
) -> tuple[float, float, float]:
    """The pair of the grid `ALPHAS` x `BETAS` and the given one that classifies most validation images correctly.

    Args:
        features: (M, D) raw; labels: (M,); others as in `tip_adapter_logits`.
        alpha, beta: the pair that stays unless another is strictly better.
    Returns:
        alpha, beta, and their accuracy in [0, 1]; the first best, smaller beta first.
    """
    image = normalise(features)
    plain = logits(image, prototypes, scale)
    similarity = image @ keys.mT  # (M, N)
    best = (alpha, beta, -1.0)
    for sharpness, weights in [(beta, [alpha]), *((item, ALPHAS) for item in BETAS)]:
        cached = torch.exp(-sharpness * (1 - similarity)) @ values  # (M, C)
        for weight in weights:
            share = ((plain + weight * cached).argmax(-1) == labels).double().mean().item()
            if share > best[2]:
                best = (weight, sharpness, share)
    return best
