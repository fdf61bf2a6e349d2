"""What a run is trained with: frozen, checked values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from pipeline.croft.options import PENALTIES, PaperOptions, Penalty, Preset, check_choices
from pipeline.errors import ParamsError
from pipeline.params.methods import preset_problem

Select = Literal["source-val", "last"]
PENALTY = "penalty_"  # how the keys of `Penalty` start, where they stand among other settings
Baseline = Literal["linear-probe", "clip-adapter", "tip-adapter", "tip-adapter-f", "coop"]


@dataclass(frozen=True)
class Settings:
    """Settings of one run; numbers may differ between runs of one batch, structure is grouped by the loop.

    train: False keeps the identity adapters (zero-shot); everything else is then irrelevant.
    preset: "paper" (alternating) or "released" (the authors' code and its update order).
    ratio_image, ratio_text: share of the adapted feature, in [0, 1] (released defaults).
    lambda_1, lambda_2: weights of the covariate term and of the energy-gradient penalty, >= 0.
    generator: False leaves out the covariate-shift generator and every term of z^c.
    generator_steps: moves of the generator per mini-batch; 0 is possible in the released preset only.
    covariate_branch: released preset only, see `released.released_terms`; ignored with 0 generator steps.
    paper: open choices of the paper preset.
    penalty: how the penalty is taken; None is the preset's own.
    lr, warmup_lr: after and during epoch 0.
    select: the epoch that is kept: first maximum of source-validation accuracy, or the last.
    """

    train: bool = True
    preset: Preset = "paper"
    ratio_image: float = 0.2
    ratio_text: float = 0.5
    lambda_1: float = 15.0
    lambda_2: float = 10.0
    generator: bool = True
    generator_steps: int = 1
    covariate_branch: bool = True
    paper: PaperOptions = field(default_factory=PaperOptions)
    penalty: Penalty | None = None
    lr: float = 0.002
    warmup_lr: float = 1e-5
    momentum: float = 0.9
    weight_decay: float = 0.1
    epochs: int = 30
    batch_size: int = 32
    select: Select = "source-val"

    def __post_init__(self) -> None:
        check_choices(self)
        self._check_numbers()
        problem = preset_problem(self.preset, self.generator, self.generator_steps, self.penalty_options.energy)
        if problem:
            raise ParamsError(problem)

    def _check_numbers(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.type not in ("float", "int"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ParamsError(f"{entry.name}: expected a finite number, found {value!r}")
            if entry.type == "int" and value != int(value):
                raise ParamsError(f"{entry.name}: expected a whole number, found {value!r}")
            if value < 0:
                raise ParamsError(f"{entry.name}: {value} is negative")
        for name in ("ratio_image", "ratio_text"):
            if getattr(self, name) > 1:
                raise ParamsError(f"{name}: {getattr(self, name)} is outside [0, 1]")
        if self.momentum >= 1:
            raise ParamsError(f"momentum: {self.momentum} is not below 1")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ParamsError(f"{name}: {getattr(self, name)} is less than 1")

    @property
    def penalty_options(self) -> Penalty:
        """The penalty that applies: the given one, or the preset's."""
        return self.penalty or PENALTIES[self.preset]

    @property
    def structure(self) -> tuple[object, ...]:
        """Runs that agree on this can be one tensor program; all else is a number per run."""
        return (
            self.preset,
            self.generator,
            self.generator_steps,
            self.covariate_branch,
            self.paper,
            self.penalty_options,
            self.lambda_2 > 0,  # an unused penalty is not computed, so that it cannot overflow either
            self.epochs,
            self.batch_size,
        )


@dataclass(frozen=True)
class BaselineSettings(Settings):
    """Settings of a run that trains something else than adapters; of `Settings` it uses what `RELEVANT` lists.

    kind: the head's formula, see `pipeline.methods.heads`.
    optimizer: "sgd" (with momentum) or "adamw"; both follow the same schedule.
    reduction: clip-adapter only, width over hidden units.
    alpha, beta: tip-adapter and tip-adapter-f only; where the search by source validation starts, and what is kept
        with select: last.
    init, words, context, class_specific: coop only; whether the context starts as the embeddings of `words` or as
        `context` random vectors, and whether each class learns its own.
    """

    kind: Baseline = "linear-probe"
    optimizer: Literal["sgd", "adamw"] = "sgd"
    reduction: int = 4
    alpha: float = 1.0
    beta: float = 5.5
    init: Literal["words", "random"] = "words"
    words: str = "a photo of a"
    context: int = 16
    class_specific: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("reduction", "context"):
            if getattr(self, name) < 1:
                raise ParamsError(f"{name}: {getattr(self, name)} is less than 1")
        if self.train and self.kind == "tip-adapter":
            raise ParamsError("tip-adapter trains nothing; use kind: tip-adapter-f")


_OPTIMISED = ("optimizer", "lr", "warmup_lr", "momentum", "weight_decay", "epochs", "batch_size", "select")
RELEVANT: dict[str, tuple[str, ...]] = {
    "linear-probe": _OPTIMISED,
    "clip-adapter": ("ratio_image", "reduction", *_OPTIMISED),
    "tip-adapter": ("alpha", "beta", "select"),
    "tip-adapter-f": ("alpha", "beta", *_OPTIMISED),
    "coop": ("init", "words", "context", "class_specific", *_OPTIMISED),
}
"""The settings that a kind of baseline uses."""


def used(run: Settings) -> dict[str, Any]:
    """The settings that a run really uses, as plain values, its kind included."""
    if isinstance(run, BaselineSettings):
        return {"kind": run.kind} | {name: getattr(run, name) for name in RELEVANT[run.kind]}
    values = {key: value for key, value in asdict(run).items() if key not in ("paper", "penalty", "covariate_branch")}
    own = {"covariate_branch": run.covariate_branch} if run.preset == "released" else asdict(run.paper)
    taken = {f"{PENALTY}{name}": value for name, value in asdict(run.penalty_options).items()}
    return {"kind": "adapters" if run.train else "zero-shot"} | values | own | taken


def settings(values: Mapping[str, Any]) -> Settings:
    """Settings of plain values; the open choices of objective and penalty stand among the others, by their keys.

    A key `penalty_...` that is None is left to the preset.

    A `kind` other than adapters gives `BaselineSettings`.

    Raises:
        ParamsError: a value is out of its range, or values exclude each other.
    """
    kind = values.get("kind", "adapters")
    values = {key: value for key, value in values.items() if key != "kind"}
    if kind != "adapters":
        if kind not in RELEVANT:
            raise ParamsError(f"kind: {kind!r} is none of adapters, {', '.join(RELEVANT)}")
        return BaselineSettings(kind=kind, train=kind != "tip-adapter", **values)
    own = {field.name for field in fields(PaperOptions)}
    paper = PaperOptions(**{key: value for key, value in values.items() if key in own})
    taken = {key.removeprefix(PENALTY): value for key, value in values.items() if key.startswith(PENALTY)}
    taken = {name: value for name, value in taken.items() if value is not None}
    rest = {key: value for key, value in values.items() if key not in own and not key.startswith(PENALTY)}
    penalty = replace(PENALTIES.get(rest.get("preset", "paper"), Penalty()), **taken) if taken else None
    return Settings(paper=paper, penalty=penalty, **rest)
