"""SGD and AdamW for stacked runs, in place: fresh blocks of their size cost as much as the matrix products.

Written out because importing torch.optim costs seconds, and because each run has a rate of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-4  # epsilon as in Tip-Adapter's code


def sgd(
    weight: Tensor,
    velocity: Tensor,
    gradient: Tensor,
    *,
    lr: Tensor | float,
    momentum: Tensor | float,
    weight_decay: Tensor | float,
) -> None:
    """One step: v <- momentum v + gradient + weight_decay w; w <- w - lr v (torch.optim.SGD, no dampening).

    Args:
        weight, velocity: (R, ...), or (...) with plain numbers; changed; the velocity starts as zeros.
        gradient: the same shape, left as it is.
        lr, momentum, weight_decay: (R,) or numbers, >= 0.
    """
    decay, rate = (
        torch.as_tensor(_over(v, weight), dtype=weight.dtype, device=weight.device) for v in (weight_decay, lr)
    )
    velocity.mul_(_over(momentum, weight)).add_(gradient).addcmul_(decay, weight)
    weight.addcmul_(rate, velocity, value=-1)


def adamw(
    weight: Tensor,
    mean: Tensor,
    square: Tensor,
    gradient: Tensor,
    *,
    step: Tensor | float,
    lr: Tensor | float,
    weight_decay: Tensor | float,
) -> None:
    """One step of Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019, algorithm 2).

    Args:
        weight, mean, square: (R, ...), or (...) with plain numbers; changed; the moments start as zeros.
        gradient: the same shape, left as it is.
        step: (R,) or a number, from 1.
        lr, weight_decay: (R,) or numbers, >= 0.
    """
    count, rate, decay = (_over(value, weight) for value in (step, lr, weight_decay))
    weight.mul_(1 - rate * decay)
    mean.mul_(BETA_1).add_((1 - BETA_1) * gradient)
    square.mul_(BETA_2).add_((1 - BETA_2) * gradient * gradient)
    corrected = (square / (1 - BETA_2**count)).sqrt_().add_(EPSILON)
    weight.sub_(rate / (1 - BETA_1**count) * mean / corrected)


def _over(value: Tensor | float, array: Tensor) -> Tensor | float:
    """Let a number per run multiply that run's whole array."""
    return value.reshape(-1, *[1] * (array.ndim - 1)) if isinstance(value, Tensor) and value.ndim else value
