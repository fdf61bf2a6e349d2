"""Stochastic gradient descent with momentum and coupled weight decay, for stacked runs."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.croft.adapters import per_run


def sgd(
    weight: Tensor,
    velocity: Tensor,
    gradient: Tensor,
    *,
    lr: Tensor | float,
    momentum: Tensor | float,
    weight_decay: Tensor | float,
) -> None:
    """One step in place: v <- momentum v + gradient + weight_decay w; w <- w - lr v (torch.optim.SGD, no dampening).

    In place and without a temporary of their size: fresh D x D blocks cost as much as the matrix products.

    Args:
        weight, velocity: (R, D, D) or (D, D), changed; the velocity starts as zeros.
        gradient: the same shape, left as it is.
        lr, momentum, weight_decay: (R,) or numbers, >= 0.
    """
    decay, rate = (
        torch.as_tensor(per_run(value), dtype=weight.dtype, device=weight.device) for value in (weight_decay, lr)
    )
    velocity.mul_(per_run(momentum)).add_(gradient).addcmul_(decay, weight)
    weight.addcmul_(rate, velocity, value=-1)
