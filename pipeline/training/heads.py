"""Training of one baseline run: the same mini-batches, schedule, selection and record as the batched loop's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.croft.adapters import cross_entropy, normalise
from pipeline.errors import DataError, ParamsError
from pipeline.fits import Head
from pipeline.methods.clip_adapter import clip_adapter_start
from pipeline.methods.coop import coop_prototypes, coop_start
from pipeline.methods.heads import head_logits
from pipeline.methods.linear_probe import linear_probe_start
from pipeline.methods.tip_adapter import build_cache, search_alpha_beta
from pipeline.training.adamw import adamw
from pipeline.training.prompts import PromptMaker
from pipeline.training.runs import Run
from pipeline.training.schedule import batch_order, learning_rate
from pipeline.training.settings import BaselineSettings
from pipeline.training.sgd import sgd
from pipeline.training.views import ViewSource

Arrays = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run of any kind has learnt; `epoch`, `validation_accuracy`, `diverged`, `history` as in `runs.Fit`."""

    run: Run
    head: Head
    epoch: int
    validation_accuracy: float
    diverged: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


def check_baselines(runs: Sequence[Run]) -> None:
    """What `checks.check_runs` does not check where nothing is trained: a cache needs images, a search needs others.

    Raises:
        DataError: a cache of no image or of one class; ParamsError: a search without validation images.
    """
    for run in runs:
        if run.settings.train:
            continue
        if len(np.unique(run.train_labels)) < 2:
            raise DataError(f"{run.name}: training images of at least 2 classes are needed; check split.shots")
        if run.settings.select == "source-val" and not len(run.validation_rows):
            raise ParamsError(f"{run.name}: select: source-val needs validation images; use select: last")


def to_device(array: NDArray[Any], device: str, dtype: str) -> Tensor:
    """A copy as a tensor of dtype "float32" or "float64"."""
    return torch.from_numpy(np.array(array)).to(device, torch.float64 if dtype == "float64" else torch.float32)


def fit_baseline(
    run: Run,
    views: ViewSource,
    clean: Tensor,
    text: Tensor,
    scale: float,
    maker: PromptMaker,
    on_epoch: Callable[[], None],
) -> Trained:
    """Train one run; its numbers depend on nothing but its own rows, settings and seed.

    Args:
        run: with `BaselineSettings`.
        views: of the training images; clean: (N, D); text: (C, D), raw and of one dtype, which is that of training.
        scale: s > 0.
        maker: gives the prompts of a run that learns them.
        on_epoch: called after each epoch.
    """
    settings = run.settings
    if not isinstance(settings, BaselineSettings):
        raise TypeError(f"{run.name}: not the settings of a baseline")
    start = _start(run, settings, views, text, scale, maker)
    scalars = start.scalars
    rows = torch.as_tensor(run.validation_rows.copy(), device=clean.device)
    validation = (clean[rows], torch.as_tensor(run.validation_labels.copy(), device=clean.device))
    trainer = _Trainer(run, settings, start, validation)
    if settings.train:
        trainer.train(views, on_epoch)
    arrays, epoch, share = trainer.best
    with torch.no_grad():
        arrays = trainer.arrays(arrays)
    if "alpha" in scalars and settings.select == "source-val":
        scalars["alpha"], scalars["beta"], share = search_alpha_beta(
            *validation,
            keys=arrays["keys"],
            values=arrays["values"],
            prototypes=arrays["prototypes"],
            scale=scale,
            alpha=settings.alpha,
            beta=settings.beta,
        )
    kept = {name: array.detach().cpu().numpy().astype(np.float32) for name, array in arrays.items()}
    return Trained(run, Head(settings.kind, kept, scalars), epoch, share, trainer.diverged, trainer.history)


class _Start(NamedTuple):
    """What is learnt, what stays, the scalars of the kind's formula, and what follows from what is learnt."""

    learnt: Arrays
    fixed: Arrays
    scalars: dict[str, float]
    derive: Callable[[Arrays], Arrays] = lambda learnt: {}


def _start(
    run: Run, settings: BaselineSettings, views: ViewSource, text: Tensor, scale: float, maker: PromptMaker
) -> _Start:
    prototypes = normalise(text)
    if settings.kind == "linear-probe":
        return _Start(linear_probe_start(text), {}, {"scale": scale})
    if settings.kind == "clip-adapter":
        start = clip_adapter_start(text, run.seed, settings.reduction)
        return _Start(start, {"prototypes": prototypes}, {"scale": scale, "ratio_image": settings.ratio_image})
    if settings.kind == "coop":
        prompts = maker.prompts()
        context = coop_start(
            prompts, maker.words(settings), context=settings.context, class_specific=settings.class_specific,
            seed=run.seed,
        )  # fmt: skip
        return _Start(
            {"context": context}, {}, {"scale": scale},
            lambda learnt: {"prototypes": coop_prototypes(learnt["context"], prompts)},
        )  # fmt: skip
    labels = torch.as_tensor(run.train_labels.copy(), device=text.device)
    keys, values = build_cache(views.to_average(run.train_rows).to(text), labels, len(text))
    scalars = {"scale": scale, "alpha": settings.alpha, "beta": settings.beta}
    return _Start({"keys": keys}, {"values": values, "prototypes": prototypes}, scalars)


class _Trainer:
    """The state of one run."""

    def __init__(self, run: Run, settings: BaselineSettings, start: _Start, validation: tuple[Tensor, Tensor]) -> None:
        self.run, self.settings, self.start, self.validation = run, settings, start, validation
        learnt = start.learnt
        self.learnt = {name: array.clone().requires_grad_() for name, array in learnt.items()}
        self.velocities = {name: torch.zeros_like(array) for name, array in learnt.items()}
        self.squares = {name: torch.zeros_like(array) for name, array in learnt.items()}
        self.steps = 0
        self.best: tuple[Arrays, int, float] = (learnt, -1, self._accuracy())
        self.history: list[dict[str, float]] = []
        self.diverged = False

    def arrays(self, learnt: Arrays) -> Arrays:
        """All that the formula takes, for these values of what is learnt."""
        return self.start.fixed | learnt | self.start.derive(learnt)

    def train(self, views: ViewSource, on_epoch: Callable[[], None]) -> None:
        """All epochs, or until a loss or a weight is not finite."""
        settings, run = self.settings, self.run
        generator = np.random.default_rng(run.seed)
        for epoch in range(settings.epochs):
            if not self.diverged:
                rate = learning_rate(epoch, settings.epochs, settings.lr, settings.warmup_lr)
                order = batch_order(generator, len(run.train_rows), settings.batch_size)  # (S, B)
                images = views.at_epoch(run.train_rows[order.reshape(-1)], epoch).to(self.validation[0])
                images = images.reshape(*order.shape, -1)  # (S, B, D)
                labels = torch.from_numpy(run.train_labels[order]).to(images.device)
                losses = [self._step(features, own, rate) for features, own in zip(images, labels, strict=True)]
                self._record(epoch, rate, torch.stack(losses).double().mean().item())
            on_epoch()

    def _step(self, features: Tensor, labels: Tensor, rate: float) -> Tensor:
        settings = self.settings
        loss = cross_entropy(self._logits(features), labels)
        names = list(self.learnt)
        gradients = torch.autograd.grad(loss, list(self.learnt.values()))
        self.steps += 1
        with torch.no_grad():
            for name, gradient in zip(names, gradients, strict=True):
                weight, velocity = self.learnt[name], self.velocities[name]
                if settings.optimizer == "sgd":
                    sgd(
                        weight, velocity, gradient,
                        lr=rate, momentum=settings.momentum, weight_decay=settings.weight_decay,
                    )  # fmt: skip
                else:
                    adamw(
                        weight, velocity, self.squares[name], gradient,
                        step=self.steps, lr=rate, weight_decay=settings.weight_decay,
                    )  # fmt: skip
        return loss.detach()

    def _logits(self, features: Tensor) -> Tensor:
        return head_logits(features, self.settings.kind, self.arrays(self.learnt), self.start.scalars)

    def _accuracy(self) -> float:
        features, labels = self.validation
        if not len(labels):
            return float("nan")
        with torch.no_grad():
            return (self._logits(features).argmax(-1) == labels).double().mean().item()

    def _record(self, epoch: int, rate: float, loss: float) -> None:
        finite = all(torch.isfinite(array).all() for array in self.learnt.values())
        if not (finite and np.isfinite(loss)):
            self.diverged = True
            return
        share = self._accuracy()
        self.history.append(
            {"epoch": epoch, "lr": rate, "loss": loss, "cross_entropy": loss, "validation_accuracy": share}
        )
        _, kept, best = self.best  # the untrained start is no candidate
        if self.settings.select == "last" or kept < 0 or share > best:
            self.best = ({name: array.detach().clone() for name, array in self.learnt.items()}, epoch, share)
