"""What the loop takes and gives: one run in, one fit out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.training.settings import Settings

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Run:
    """One (method, target, seed): which rows it learns from and which rows choose its epoch.

    train_rows: (n,) rows of `views`; train_labels: (n,) in [0, C).
    validation_rows: (m,) rows of `clean`, source domains only; validation_labels: (m,) in [0, C).
    text_rows: (C,) rows of `text`, the classes that it knows in the order of its labels; None means all.
    """

    method: str
    target: str
    seed: int
    settings: Settings
    train_rows: Rows
    train_labels: Rows
    validation_rows: Rows
    validation_labels: Rows
    text_rows: Rows | None = None

    @property
    def name(self) -> str:
        """For messages: method, target and seed."""
        return f"{self.method}, target {self.target}, seed {self.seed}"

    @property
    def key(self) -> tuple[object, ...]:
        """Runs of equal keys learn the same: with fixed sources, those of one seed and method for every target."""
        arrays = (self.train_rows, self.train_labels, self.validation_rows, self.validation_labels)
        return (self.settings, self.seed, self.classes, *(array.tobytes() for array in arrays))

    @property
    def classes(self) -> bytes | None:
        """Runs that know the same classes agree on this."""
        return None if self.text_rows is None else self.text_rows.tobytes()

    @property
    def batches(self) -> int:
        """Mini-batches per epoch; the incomplete last one is dropped."""
        return len(self.train_rows) // self.settings.batch_size


@dataclass(frozen=True, eq=False)
class Fit:
    """What a run has learnt.

    weight_image, weight_text: (D, D) float32 or float64 of the selected epoch.
    epoch: the selected epoch, from 0; -1 is the untrained identity.
    validation_accuracy: at that epoch, in [0, 1]; NaN without validation rows.
    diverged: the loss or a weight became infinite or NaN; the weights are then of the best epoch before, and
        `history` ends before the epoch in which it happened.
    history: one dict per finished epoch: epoch, lr, loss, its terms (means over mini-batches), validation_accuracy.
    """

    run: Run
    weight_image: NDArray[Any]
    weight_text: NDArray[Any]
    epoch: int
    validation_accuracy: float
    diverged: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
