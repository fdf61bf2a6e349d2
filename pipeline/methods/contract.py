"""What a method is: its settings, what it learns from what start, and how that gives logits.

Everything is written as for one run. The engine stacks runs: each array gains a leading axis R, and a setting that
differs between runs becomes a tensor that broadcasts. Products of the last two axes (`@`, `.mT`, `dim=-1`) mean the
same for one run and for many. Nothing may mix runs or reduce over the leading axis.

A leading axis rather than `torch.func.vmap` of a step for one run: vmap took 1.1 to 3.7 times as long for the same
gradients (`make bench PARTS=vmap`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from pipeline.papers import Paper
from pipeline.params.section import Section

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Arrays = dict[str, "Tensor"]
Terms = dict[str, "Tensor"]


class Tower(Protocol):
    """What methods need of a frozen text tower from token embeddings on; `pipeline.backbone.protocol` says more."""

    @property
    def context(self) -> int:
        """Most tokens of a text, start and end included."""

    def in_dtype(self, dtype: torch.dtype) -> Self:
        """The tower in another floating-point type."""

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids (N, L) and lengths (N,)."""

    def embed(self, ids: Tensor) -> Tensor:
        """(N, L, W)."""

    def encode(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """(N, L, W) and (N,) to (N, D)."""


@dataclass(frozen=True, eq=False)
class ClassSet:
    """What runs that know the same C classes share.

    Attributes:
        text: (C, D) raw text features, in the dtype and on the device of training; (R, C, D) in a stack of runs whose
            classes differ, one set a run.
        scale: s > 0.
        names: how prompts call the classes; empty where nobody knows.
        tower: gives the text tower that made the text features, in the dtype of training; None where there is none.
    """

    text: Tensor
    scale: float
    names: Sequence[str] = ()
    tower: Callable[[], Tower] | None = None
    memory: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def prototypes(self) -> Tensor:
        """(C, D), normalised."""
        from pipeline.croft.adapters import normalise

        return normalise(self.text)

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for all runs."""
        if key not in self.memory:
            self.memory[key] = make()
        return self.memory[key]


@dataclass(frozen=True, eq=False)
class Images:
    """The training images of one run.

    Attributes:
        labels: (N,) int64 in [0, C).
        views: gives (N, V, D) raw features of all their augmented views.
    """

    labels: Tensor
    views: Callable[[], Tensor]


class Start(NamedTuple):
    """Where a run starts: what training moves, and what `logits` takes besides."""

    learnt: Arrays
    fixed: Arrays = {}  # noqa: RUF012 (never changed)


class Step(NamedTuple):
    """One mini-batch of R stacked runs, for a method with an order of updates of its own.

    Attributes:
        features: (R, B, D) raw; labels: (R, B).
        learnt: (R, ...) by name, as they are now.
        numbers: every setting that is a float, (R,) by name.
        options: of the first run; settings that are no floats are the same for all R.
        classes: what all runs know.
        update: moves what it gets gradients for, and returns all that is learnt, moved.
    """

    features: Tensor
    labels: Tensor
    learnt: Arrays
    numbers: Mapping[str, Tensor]
    options: Any
    classes: ClassSet
    update: Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class Method:
    """One row of the catalogue.

    Attributes:
        kind: what `kind` in params.yaml and in a head says.
        options: its settings, a frozen pydantic model with a field `kind`.
        paper: where it comes from.
        start: (options, seed, class set, images) to the start of one run.
        logits: (features (..., B, D), *, arrays and scalars by name) to (..., B, C); its keyword arguments are what a
            head of this kind must hold: arrays that are learnt, fixed or derived, `scale`, settings that are floats.
        trains: False where nothing is moved.
        step: one mini-batch; None is one update with the gradient of the mean cross-entropy of `logits`.
        derive: (learnt, settings as numbers, options, class set) to arrays that follow from what is learnt.
        hidden: what is learnt and no part of the head.
        scalars: settings that a head keeps for diagnostics, besides those that `logits` takes.
        finish: (arrays, scalars, options, validation features, labels) to changed scalars and their validation
            accuracy, after training; None where there is nothing to search.
        check: (options, class set, name of the run); raises what is wrong before anything is trained.
        structure: (options) to what stacked runs must agree on besides the settings that are no floats.
        per_image: whether an array has a row per training image, so that stacked runs need equally many.
        one_class_set: whether stacked runs must know the same classes; otherwise equally many are enough.
        record: (options) to the settings as plain values for records; None is all of them.
    """

    kind: str
    options: type[Section]
    paper: Paper
    start: Callable[[Any, int, ClassSet, Images], Start]
    logits: Callable[..., Tensor]
    trains: bool = True
    step: Callable[[Step], Terms] | None = None
    derive: Callable[[Arrays, Mapping[str, Tensor], Any, ClassSet], Arrays] | None = None
    hidden: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    finish: Callable[[Arrays, dict[str, float], Any, Tensor, Tensor], tuple[dict[str, float], float]] | None = None
    check: Callable[[Any, ClassSet, str], None] | None = None
    structure: Callable[[Any], Hashable] | None = None
    per_image: bool = False
    one_class_set: bool = False
    record: Callable[[Any], dict[str, Any]] | None = None
