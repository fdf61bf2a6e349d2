"""Linear probe that starts at the zero-shot classifier."""

from __future__ import annotations

from torch import Tensor

from pipeline.croft.adapters import normalise


def linear_probe_start(text: Tensor) -> dict[str, Tensor]:
    """Trainable tensors whose logits are the zero-shot ones (Wortsman et al., "WiSE-FT", CVPR 2022).

    Args:
        text: (C, D) raw text features.
    Returns:
        weight (C, D), the normalised prototypes, and bias (C,), zero.
    """
    return {"weight": normalise(text), "bias": text.new_zeros(len(text))}


def linear_probe_logits(features: Tensor, *, weight: Tensor, bias: Tensor, scale: float) -> Tensor:
    """Logits s (n(f) Wᵀ + b) (Radford et al., "CLIP", ICML 2021, section 3.2, on normalised features).

    Args:
        features: (B, D) raw; weight: (C, D); bias: (C,); scale: s > 0.
    Returns:
        (B, C), unbounded: the weights are not normalised.
    """
    return scale * (normalise(features) @ weight.mT + bias)
