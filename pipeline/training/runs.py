"""What the engine takes and gives: features and runs in, one trained head per run out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.fits import Head
from pipeline.methods.catalogue import METHODS
from pipeline.methods.contract import Method, Tower
from pipeline.params.section import Section

if TYPE_CHECKING:
    from pipeline.features import Features
    from pipeline.training.views import ViewSource

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Inputs:
    """The features that all runs learn from.

    Attributes:
        views: (T, V, D) raw features of augmented training images, epoch e sees view e mod V; or another source.
        clean: (N, D) raw features of images as they are, for validation rows.
        text: (C, D) raw text features, one row per class.
        logit_scale: s = exp(logit_scale parameter), > 0; 100 for CLIP.
        names: how prompts call the C classes; for methods that learn prompts, as is
        tower: gives the text tower that made the text features; called once at most.
    """

    views: NDArray[np.float32] | ViewSource
    clean: NDArray[np.float32]
    text: NDArray[np.float32]
    logit_scale: float
    names: Sequence[str] = ()
    tower: Callable[[], Tower] | None = None

    @classmethod
    def of(
        cls,
        features: Features,
        views: NDArray[np.float32] | ViewSource | None = None,
        tower: Callable[[], Tower] | None = None,
    ) -> Inputs:
        """Those of a `featurize` output; views: their source, by default the features' own."""
        return cls(
            features.views if views is None else views,
            features.clean,
            features.text,
            features.meta["logit_scale"],
            features.meta["names"],
            tower,
        )


@dataclass(frozen=True, eq=False)
class Run:
    """One (method, target, seed): which rows it learns from and which rows choose its epoch.

    options: the method's settings, checked (`pipeline.methods.settings`).
    train_rows: (n,) rows of `views`; train_labels: (n,) in [0, C).
    validation_rows: (m,) rows of `clean`, source domains only; validation_labels: (m,) in [0, C).
    text_rows: (C,) rows of `text`, the classes that it knows in the order of its labels; None means all.
    """

    method: str
    target: str
    seed: int
    options: Section
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
    def kind(self) -> Method:
        """The row of the catalogue that its settings belong to."""
        return METHODS[self.setting("kind")]

    @property
    def key(self) -> tuple[object, ...]:
        """Runs of equal keys learn the same: with fixed sources, those of one seed and method for every target."""
        arrays = (self.train_rows, self.train_labels, self.validation_rows, self.validation_labels)
        return (self.options, self.seed, self.classes, *(array.tobytes() for array in arrays))

    @property
    def classes(self) -> bytes | None:
        """Runs that know the same classes agree on this."""
        return None if self.text_rows is None else self.text_rows.tobytes()

    @property
    def epochs(self) -> int:
        """0 where nothing is trained."""
        return int(self.setting("epochs")) if self.kind.trains else 0

    @property
    def batches(self) -> int:
        """Mini-batches per epoch; the incomplete last one is dropped."""
        return len(self.train_rows) // int(self.setting("batch_size")) if self.kind.trains else 0

    def setting(self, name: str) -> Any:
        """One of its settings.

        Raises:
            AttributeError: its method has none of that name.
        """
        return getattr(self.options, name)


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run has learnt.

    head: arrays in the dtype of training, of the selected epoch.
    epoch: the selected epoch, from 0; -1 is the start.
    validation_accuracy: at that epoch, in [0, 1]; NaN without validation rows.
    diverged: the loss or a weight became infinite or NaN; the head is then of the best epoch before, and `history` ends
        before the epoch in which it happened.
    history: one dict per finished epoch: epoch, lr, loss, its terms (means over mini-batches), validation_accuracy.
    """

    run: Run
    head: Head
    epoch: int
    validation_accuracy: float
    diverged: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


def distinct(runs: Sequence[Run]) -> dict[tuple[object, ...], Run]:
    """The first run of each key: what is really trained."""
    first: dict[tuple[object, ...], Run] = {}
    for run in runs:
        first.setdefault(run.key, run)
    return first


def count_epochs(runs: Sequence[Run]) -> int:
    """How many run-epochs `engine.fit` trains, for progress."""
    return sum(run.epochs for run in distinct(runs).values())
