"""Adam with decoupled weight decay, for what its authors train with it (Tip-Adapter-F)."""

from __future__ import annotations

from torch import Tensor

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-4  # epsilon as in Tip-Adapter's code


def adamw(
    weight: Tensor, mean: Tensor, square: Tensor, gradient: Tensor, *, step: int, lr: float, weight_decay: float
) -> None:
    """One step in place (Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2).

    Written out, because importing torch.optim's costs seconds.

    Args:
        weight, mean, square: of one shape, changed; the moments start as zeros.
        gradient: the same shape, left as it is.
        step: from 1.
        lr, weight_decay: >= 0.
    """
    weight.mul_(1 - lr * weight_decay)
    mean.mul_(BETA_1).add_((1 - BETA_1) * gradient)
    square.mul_(BETA_2).add_((1 - BETA_2) * gradient * gradient)
    corrected = (square / (1 - BETA_2**step)).sqrt_().add_(EPSILON)
    weight.sub_(lr / (1 - BETA_1**step) * mean / corrected)
