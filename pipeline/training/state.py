"""Stacked weights and velocities of the runs of a chunk."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.croft.adapters import Gradients, Weights
from pipeline.training.sgd import sgd


class State:
    """Matrices (R, D, D) that start as the identity, and their velocities that start as zeros."""

    def __init__(self, runs: int, like: Tensor, with_generator: bool) -> None:
        """Args: runs: R; like: (C, D), gives width, dtype and device; with_generator: keep a third matrix."""
        start = torch.eye(like.shape[-1], dtype=like.dtype, device=like.device).repeat(runs, 1, 1)
        self.matrices = [start, start.clone()] + ([start.clone()] if with_generator else [])
        self.velocities = [torch.zeros_like(start) for _ in self.matrices]

    @property
    def image(self) -> Tensor:
        """W_I (R, D, D)."""
        return self.matrices[0]

    @property
    def text(self) -> Tensor:
        """W_T (R, D, D)."""
        return self.matrices[1]

    def weights(self, count: int) -> Weights:
        """The first `count` runs' matrices (views of the state)."""
        image, text, *rest = (part[:count] for part in self.matrices)
        return Weights(image, text, rest[0] if rest else None)

    def move(self, count: int, gradients: Gradients, lr: Tensor, momentum: Tensor, weight_decay: Tensor) -> Weights:
        """Take one step of the first `count` runs where there is a gradient; returns the moved weights."""
        for part, gradient in enumerate(gradients):
            if gradient is None:
                continue
            weight, velocity = self.matrices[part][:count], self.velocities[part][:count]
            sgd(weight, velocity, gradient, lr=lr, momentum=momentum, weight_decay=weight_decay)
        return self.weights(count)

    def take(self, index: Tensor) -> State:
        """A copy of some runs."""
        part = object.__new__(State)
        part.matrices = [matrix[index] for matrix in self.matrices]
        part.velocities = [velocity[index] for velocity in self.velocities]
        return part

    def put(self, index: Tensor, part: State) -> None:
        """Write a copy made by `take` back."""
        for whole, some in zip(self.matrices + self.velocities, part.matrices + part.velocities, strict=True):
            whole[index] = some

    def finite(self) -> Tensor:
        """(R,) bool: every weight is finite."""
        return torch.isfinite(torch.stack(self.matrices)).all(-1).all(-1).all(0)
