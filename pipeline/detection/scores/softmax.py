"""Scores of the class probabilities, and the largest logit.

Every function takes logits (B, C) of any float dtype, multiplied by the logit scale, and returns (B,) float32; larger =
more open-set. It raises ValueError where logits is not 2-D or C is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.scores.contract import check_logits

if TYPE_CHECKING:
    from torch import Tensor


def max_softmax(logits: Tensor) -> Tensor:
    """S(x) = -max_c softmax(logits)_c, in [-1, -1/C] (Hendrycks & Gimpel, ICLR 2017)."""
    check_logits(logits)
    return -logits.float().softmax(dim=1).amax(dim=1)


def max_logit(logits: Tensor) -> Tensor:
    """S(x) = -max_c logits_c, unbounded (Hendrycks et al., ICML 2022)."""
    check_logits(logits)
    return -logits.float().amax(dim=1)


def entropy(logits: Tensor) -> Tensor:
    """S(x) = -Σ_c p_c log p_c with p = softmax(logits), in [0, log C] (Chan et al., ICCV 2021)."""
    check_logits(logits)
    log_p = logits.float().log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1)


def generalised_entropy(logits: Tensor, gamma: float = 0.1, top: int = 100) -> Tensor:
    """S(x) = Σ over the `top` largest p_c of p_c^γ (1 - p_c)^γ (Liu et al., "GEN", CVPR 2023, eq. 4).

    Args:
        gamma: γ in (0, 1); small values weigh the tail.
        top: how many of the largest probabilities are summed; all where there are fewer classes.
    Returns:
        (B,) in [0, top].
    """
    check_logits(logits)
    p = logits.float().softmax(dim=1).topk(min(top, logits.shape[1]), dim=1).values
    return (p * (1 - p)).clamp(min=0).pow(gamma).sum(dim=1)
