"""Runs that are alike, trained as one tensor program: their arrays have a leading axis R."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.croft.adapters import cross_entropy, per_run
from pipeline.fits import Head
from pipeline.methods.catalogue import ingredients
from pipeline.methods.contract import Arrays, ClassSet, Images, Start, Step, Terms
from pipeline.training.optimizers import adamw, sgd
from pipeline.training.runs import Run, Trained
from pipeline.training.schedule import batch_order, learning_rate
from pipeline.training.views import ViewSource


class Data(NamedTuple):
    """Features on the device and in the dtype of training: views of T images, clean (N, D)."""

    views: ViewSource
    clean: Tensor


def start_of(run: Run, data: Data, classes: ClassSet) -> Start:
    """Where one run starts."""
    labels = torch.as_tensor(run.train_labels.copy(), device=classes.text.device)
    images = Images(labels, lambda: data.views.to_average(run.train_rows).to(classes.text))
    return run.kind.start(run.options, run.seed, classes, images)


class Stack:
    """Runs of one structure, the longest epochs first."""

    def __init__(
        self,
        runs: Sequence[Run],
        data: Data,
        classes: Mapping[bytes | None, ClassSet],
        started: dict[Run, Start] | None = None,
    ) -> None:
        """Start every run.

        Args:
            runs: that `engine` found to be one tensor program.
            data: that they learn from.
            classes: by `Run.classes`; equally many for all runs.
            started: the starts of some runs, which are taken out of it; others are made.
        """
        self.runs = sorted(runs, key=lambda run: -run.batches)
        sets = [classes[run.classes] for run in self.runs]
        self.data, self.classes = data, _side_by_side(sets)
        self.method, self.options = self.runs[0].kind, self.runs[0].options
        self.orders = [np.random.default_rng(run.seed) for run in self.runs]
        made = {} if started is None else started
        starts = [
            made.pop(run) if run in made else start_of(run, data, known)
            for run, known in zip(self.runs, sets, strict=True)
        ]
        self.learnt = {name: torch.stack([s.learnt[name] for s in starts]) for name in starts[0].learnt}
        self.fixed = {name: _shared([s.fixed[name] for s in starts]) for name in starts[0].fixed}
        adam = getattr(self.options, "optimizer", "sgd") == "adamw"
        self.moments = [{name: torch.zeros_like(a) for name, a in self.learnt.items()} for _ in range(1 + adam)]
        self.steps = self._numbers([0.0] * len(self.runs))
        names = [name for name, value in self.options if isinstance(value, float)]
        self.numbers = {name: self._numbers([run.setting(name) for run in self.runs]) for name in names}
        self._gather_validation()
        everyone = list(range(len(self.runs)))
        self.best = {name: array.clone() for name, array in self.learnt.items() if name not in self.method.hidden}
        self.epochs = [(-1, share) for share in self._accuracy(everyone)]
        self.histories: list[list[dict[str, float]]] = [[] for _ in self.runs]
        self.diverged = [False] * len(self.runs)

    def train(self, on_epoch: Callable[[int], None]) -> list[Trained]:
        """Train every run to its end.

        Args:
            on_epoch: called after each epoch with how many run-epochs it finished.
        Returns:
            One result per run, in the stack's own order; `Trained.run` says which.
        """
        active = list(range(len(self.runs)))
        for epoch in range(self.runs[0].epochs):
            if active:
                active = self._epoch(epoch, active)
            on_epoch(len(self.runs))
        with torch.no_grad():
            arrays = self._arrays(self.best, slice(None))
        return [self._result(k, {name: array[k] for name, array in arrays.items()}) for k in range(len(self.runs))]

    def _result(self, k: int, arrays: Arrays) -> Trained:
        run, (epoch, share) = self.runs[k], self.epochs[k]
        names = [name for name in ingredients(self.method.kind) if name not in arrays and name != "scale"]
        scalars = {name: float(run.setting(name)) for name in (*names, *self.method.scalars)}
        scalars["scale"] = self.classes.scale
        if self.method.finish is not None and len(run.validation_rows):
            changed, accuracy = self.method.finish(
                arrays, scalars, run.options, self.validation[k], self.validation_labels[k]
            )
            scalars, share = changed, share if np.isnan(accuracy) else accuracy
        head = Head(self.method.kind, {name: array.cpu().numpy().copy() for name, array in arrays.items()}, scalars)
        return Trained(run, head, epoch, share, self.diverged[k], self.histories[k])

    def _epoch(self, epoch: int, active: list[int]) -> list[int]:
        """Train one epoch of the runs that are still active, in place; returns those that go on."""
        device, dtype = self.classes.text.device, self.classes.text.dtype
        rates = [
            learning_rate(epoch, self.runs[k].epochs, self.runs[k].setting("lr"), self.runs[k].setting("warmup_lr"))
            for k in active
        ]
        seen, places, labels, batches = self._epoch_batches(active)
        images = self.data.views.at_epoch(seen, epoch).to(device, dtype)  # (n, D): an image of several runs once
        places, labels = places.to(device), labels.to(device)
        whole = self if len(active) == len(self.runs) else self._part(active)
        lr = self._numbers(rates)
        sums: Terms = {}
        for step in range(places.shape[1]):
            count = sum(step < size for size in batches)  # longest first: the runs that still have a batch
            terms = whole._step(images[places[:count, step]], labels[:count, step], lr[:count])  # (r, B, D), (r, B)
            for name, value in terms.items():
                sums.setdefault(name, torch.zeros(len(active), dtype=dtype, device=device))[:count] += value
        if whole is not self:
            self._put(active, whole)
        means = {name: (value.cpu().double() / torch.tensor(batches)).tolist() for name, value in sums.items()}
        finite = torch.isfinite(sums["loss"])
        for array in whole.learnt.values():
            finite &= torch.isfinite(array).flatten(1).all(1)
        return self._record(epoch, active, rates, means, finite.tolist())

    def _epoch_batches(self, active: list[int]) -> tuple[NDArray[np.int64], Tensor, Tensor, list[int]]:
        """The epoch's mini-batches.

        Returns:
            (n,) different rows of `views`; where each batch's images stand among them, and their labels, both
            (r, S, B); and each run's own count of batches <= S, beyond which the two hold zeros.
        """
        batches, size = [self.runs[k].batches for k in active], int(self.runs[0].setting("batch_size"))
        shape = (len(active), max(batches), size)
        rows, labels = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for position, k in enumerate(active):
            run = self.runs[k]
            order = batch_order(self.orders[k], len(run.train_rows), size)
            rows[position, : len(order)] = run.train_rows[order]
            labels[position, : len(order)] = run.train_labels[order]
        used = [part[:count].reshape(-1) for part, count in zip(rows, batches, strict=True)]
        seen = np.unique(np.concatenate(used))
        return seen, torch.from_numpy(np.searchsorted(seen, rows)), torch.from_numpy(labels), batches

    def _step(self, features: Tensor, labels: Tensor, lr: Tensor) -> Terms:
        """One mini-batch of the first runs."""
        count = len(features)
        numbers = {name: value[:count] for name, value in self.numbers.items()}

        def update(gradients: Arrays) -> Arrays:
            self._move(gradients, lr, count)
            return self._first(count)

        if self.method.step is not None:
            return self.method.step(
                Step(features, labels, self._first(count), numbers, self.options, self._classes(slice(count)), update)
            )
        leaves = {name: array.detach().requires_grad_() for name, array in self._first(count).items()}
        values = self._logits(features, self._arrays(leaves, slice(count)), slice(count))
        loss = cross_entropy(values, labels)
        update(dict(zip(leaves, torch.autograd.grad(loss.sum(), list(leaves.values())), strict=True)))
        return {"loss": loss.detach(), "cross_entropy": loss.detach()}

    def _move(self, gradients: Arrays, lr: Tensor, count: int) -> None:
        """One step of the optimizer for what has a gradient."""
        decay = self.numbers["weight_decay"][:count]
        self.steps[:count] += 1
        for name, gradient in gradients.items():
            weight, first = self.learnt[name][:count], self.moments[0][name][:count]
            if len(self.moments) == 1:
                sgd(weight, first, gradient, lr=lr, momentum=self.numbers["momentum"][:count], weight_decay=decay)
            else:
                square = self.moments[1][name][:count]
                adamw(weight, first, square, gradient, step=self.steps[:count], lr=lr, weight_decay=decay)

    def _arrays(self, learnt: Arrays, runs: slice | Tensor) -> Arrays:
        """All that logits take of these runs, (r, ...), for these values of what is learnt."""
        arrays = {name: array[runs] for name, array in self.fixed.items()} | learnt
        if self.method.derive is not None:
            numbers = {name: value[runs] for name, value in self.numbers.items()}
            arrays |= self.method.derive(learnt, numbers, self.options, self._classes(runs))
        return arrays

    def _logits(self, features: Tensor, arrays: Arrays, runs: slice | Tensor) -> Tensor:
        values: dict[str, Tensor | float] = {"scale": self.classes.scale, **arrays}
        names = ingredients(self.method.kind)
        values |= {name: per_run(self.numbers[name][runs]) for name in names if name not in values}
        return self.method.logits(features, **{name: values[name] for name in names})

    def _gather_validation(self) -> None:
        gathered: dict[bytes, Tensor] = {}  # a table that several runs share is gathered once
        self.validation = []
        for run in self.runs:
            key, device = run.validation_rows.tobytes(), self.data.clean.device
            if key not in gathered:
                gathered[key] = self.data.clean[torch.as_tensor(run.validation_rows.copy(), device=device)]
            self.validation.append(gathered[key])
        self.validation_labels = [torch.tensor(run.validation_labels, device=device) for run in self.runs]

    def _accuracy(self, members: list[int]) -> list[float]:
        """Share of validation rows whose best class (first of equals) is their label; NaN without rows."""
        shares = [float("nan")] * len(members)
        sizes: dict[int, list[int]] = {}
        for position, k in enumerate(members):
            if len(self.validation[k]):
                sizes.setdefault(len(self.validation[k]), []).append(position)
        with torch.no_grad():
            for positions in sizes.values():  # never padded: another run's size must not change a product's shape
                chosen = [members[position] for position in positions]
                index = self._index(chosen)
                arrays = self._arrays({name: self.learnt[name][index] for name in self.best}, index)
                values = self._logits(torch.stack([self.validation[k] for k in chosen]), arrays, index)
                hits = values.argmax(-1) == torch.stack([self.validation_labels[k] for k in chosen])
                for position, share in zip(positions, hits.double().mean(-1).tolist(), strict=True):
                    shares[position] = share
        return shares

    def _record(
        self, epoch: int, active: list[int], rates: list[float], means: dict[str, list[float]], finite: list[bool]
    ) -> list[int]:
        """Drop the runs that diverged; write the others' history and keep their best arrays."""
        alive = [position for position, good in enumerate(finite) if good]
        for position, k in enumerate(active):
            self.diverged[k] = not finite[position]
        if not alive:
            return []
        kept = [active[position] for position in alive]
        better = []
        for position, k, value in zip(alive, kept, self._accuracy(kept), strict=True):
            row = {"epoch": epoch, "lr": rates[position]}
            row |= {name: values[position] for name, values in means.items()}
            self.histories[k].append(row | {"validation_accuracy": value})
            first_trained = self.epochs[k][0] < 0  # the untrained start is no candidate
            if self.runs[k].setting("select") == "last" or first_trained or value > self.epochs[k][1]:
                self.epochs[k] = (epoch, value)
                better.append(k)
        if better:
            index = self._index(better)
            for name, array in self.best.items():
                array[index] = self.learnt[name][index]
        return kept

    def _index(self, members: list[int]) -> slice | Tensor:
        """A view where all runs take part: copies of D x D arrays cost as much as the products."""
        if len(members) == len(self.runs):
            return slice(None)
        return torch.tensor(members, device=self.classes.text.device)

    def _classes(self, runs: slice | Tensor) -> ClassSet:
        """What these runs know."""
        text = self.classes.text
        return self.classes if text.ndim == 2 else replace(self.classes, text=text[runs])

    def _first(self, count: int) -> Arrays:
        return {name: array[:count] for name, array in self.learnt.items()}

    def _numbers(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=self.classes.text.dtype, device=self.classes.text.device)

    def _part(self, members: list[int]) -> Stack:
        """A copy of some runs' state, to train them apart from those that diverged."""
        index = torch.tensor(members, device=self.classes.text.device)
        part = object.__new__(Stack)
        part.method, part.options, part.classes = self.method, self.options, self._classes(index)
        for name in ("learnt", "fixed", "numbers"):
            setattr(part, name, {key: array[index] for key, array in getattr(self, name).items()})
        part.moments = [{key: array[index] for key, array in moment.items()} for moment in self.moments]
        part.steps = self.steps[index]
        return part

    def _put(self, members: list[int], part: Stack) -> None:
        index = torch.tensor(members, device=self.classes.text.device)
        for whole, some in zip([self.learnt, *self.moments], [part.learnt, *part.moments], strict=True):
            for name, array in some.items():
                whole[name][index] = array
        self.steps[index] = part.steps


def _side_by_side(sets: Sequence[ClassSet]) -> ClassSet:
    """The class set that all runs share, or one whose text has a leading axis R."""
    if all(known is sets[0] for known in sets):
        return sets[0]
    return ClassSet(torch.stack([known.text for known in sets]), sets[0].scale)


def _shared(arrays: Sequence[Tensor]) -> Tensor:
    """(R, ...); what all runs share is kept once.

    Expanded rather than broadcast: a broadcast product folds runs into one, whose rounding depends on R.
    """
    if all(array is arrays[0] for array in arrays):
        return arrays[0].expand(len(arrays), *arrays[0].shape)
    return torch.stack(list(arrays))
