"""Learning rate by epoch, and the order in which a run sees its images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def learning_rate(epoch: int, epochs: int, lr: float, warmup_lr: float) -> float:
    """Constant warm-up in epoch 0, then lr/2 (1 + cos(π (e - 1) / epochs)) (authors' code).

    Args:
        epoch: from 0; epochs: the whole number of epochs; lr, warmup_lr: >= 0.
    Returns:
        The rate of that epoch; the cosine ends short of 0, as released.
    """
    if epoch == 0:
        return warmup_lr
    return lr / 2 * (1 + math.cos(math.pi * (epoch - 1) / epochs))


def batch_order(generator: np.random.Generator, rows: int, batch_size: int) -> NDArray[np.int64]:
    """A fresh shuffle cut into mini-batches.

    Args:
        generator: the run's own; rows: how many training images.
    Returns:
        (rows // batch_size, batch_size) positions; what does not fill a batch is dropped.
    """
    whole = rows // batch_size * batch_size
    return generator.permutation(rows)[:whole].reshape(-1, batch_size)
