"""One chunk of runs with the same structure, trained as one batched tensor program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.croft.adapters import Gradients, Weights
from pipeline.croft.objective import Terms
from pipeline.croft.steps import paper_step, released_step
from pipeline.training.accuracy import accuracy
from pipeline.training.runs import Fit, Run
from pipeline.training.schedule import batch_order, learning_rate
from pipeline.training.state import State
from pipeline.training.views import ViewSource

NUMBERS = ("ratio_image", "ratio_text", "lambda_1", "lambda_2")


class Chunk:
    """Runs of one `Settings.structure`, the longest epochs first, with their stacked state."""

    def __init__(self, runs: Sequence[Run], views: ViewSource, clean: Tensor, text: Tensor, logit_scale: float) -> None:
        self.runs = sorted(runs, key=lambda run: -run.batches)
        self.views, self.text, self.scale = views, text, logit_scale
        device = text.device
        self.orders = [np.random.default_rng(run.seed) for run in self.runs]
        # A table that several runs share is gathered once.
        gathered: dict[bytes, Tensor] = {}
        self.validation = []
        for run in self.runs:
            key = run.validation_rows.tobytes()
            if key not in gathered:
                gathered[key] = clean[torch.as_tensor(run.validation_rows.copy(), device=device)]
            self.validation.append(gathered[key])
        self.validation_labels = [torch.tensor(run.validation_labels, device=device) for run in self.runs]
        settings = self.runs[0].settings
        self.state = State(len(self.runs), text, with_generator=settings.generator)
        self.numbers = {
            name: torch.tensor([getattr(run.settings, name) for run in self.runs], dtype=text.dtype, device=device)
            for name in (*NUMBERS, "momentum", "weight_decay")
        }
        self.best_weights = (self.state.image.clone(), self.state.text.clone())
        self.best = [(-1, value) for value in self._accuracy(list(range(len(self.runs))))]
        self.histories: list[list[dict[str, float]]] = [[] for _ in self.runs]
        self.diverged = [False] * len(self.runs)
        self.settings = settings

    def train(self, on_epoch: Callable[[int], None]) -> list[Fit]:
        """Train every run to its end.

        Args:
            on_epoch: called after each epoch with how many run-epochs it finished.
        Returns:
            One fit per run, in the chunk's own order; `Fit.run` says which.
        """
        active = list(range(len(self.runs)))
        for epoch in range(self.settings.epochs):
            if active:
                active = self._epoch(epoch, active)
            on_epoch(len(self.runs))
        image, text = (part.cpu().numpy() for part in self.best_weights)
        return [
            Fit(run, image[k].copy(), text[k].copy(), *self.best[k], self.diverged[k], self.histories[k])
            for k, run in enumerate(self.runs)
        ]

    def _epoch(self, epoch: int, active: list[int]) -> list[int]:
        """Train one epoch of the runs that are still active, in place; returns those that go on."""
        device, settings = self.text.device, self.settings
        rates = [
            learning_rate(epoch, settings.epochs, self.runs[k].settings.lr, self.runs[k].settings.warmup_lr)
            for k in active
        ]
        lr = torch.tensor(rates, dtype=self.text.dtype, device=device)
        index = torch.tensor(active, device=device)
        numbers = {name: value[index] for name, value in self.numbers.items()}
        seen, places, labels, batches = self._epoch_batches(active)
        images = self.views.at_epoch(seen, epoch).to(device, self.text.dtype)  # (n, D): an image of several runs once
        places, labels = places.to(device), labels.to(device)
        state = self.state if len(active) == len(self.runs) else self.state.take(index)
        sums: Terms = {}
        for step in range(places.shape[1]):
            count = sum(step < size for size in batches)  # longest first: the runs that still have a batch
            features = images[places[:count, step]]  # (r, B, D)
            terms = self._step(state, count, features, labels[:count, step], numbers, lr)
            for name, value in terms.items():
                total = sums.setdefault(name, torch.zeros(len(active), dtype=self.text.dtype, device=device))
                total[:count] += value
        if state is not self.state:
            self.state.put(index, state)
        means = {name: (value.cpu().double() / torch.tensor(batches)).tolist() for name, value in sums.items()}
        finite = (state.finite() & torch.isfinite(sums["loss"])).tolist()
        return self._record(epoch, active, rates, means, finite)

    def _epoch_batches(self, active: list[int]) -> tuple[NDArray[np.int64], Tensor, Tensor, list[int]]:
        """The epoch's mini-batches.

        Returns:
            (n,) different rows of `views`; where each batch's images stand among them, and their labels, both
            (r, S, B); and each run's own count of batches <= S, beyond which the two hold zeros.
        """
        batches = [self.runs[k].batches for k in active]
        shape = (len(active), max(batches), self.settings.batch_size)
        rows, labels = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for position, k in enumerate(active):
            run = self.runs[k]
            order = batch_order(self.orders[k], len(run.train_rows), self.settings.batch_size)
            rows[position, : len(order)] = run.train_rows[order]
            labels[position, : len(order)] = run.train_labels[order]
        used = [part[:count].reshape(-1) for part, count in zip(rows, batches, strict=True)]
        seen = np.unique(np.concatenate(used))
        places = np.searchsorted(seen, rows)
        return seen, torch.from_numpy(places), torch.from_numpy(labels), batches

    def _step(
        self, state: State, count: int, features: Tensor, labels: Tensor, numbers: dict[str, Tensor], lr: Tensor
    ) -> Terms:
        """One mini-batch of the first `count` runs of the state."""
        rates = (lr[:count], numbers["momentum"][:count], numbers["weight_decay"][:count])

        def update(gradients: Gradients) -> Weights:
            return state.move(count, gradients, *rates)

        settings, options = self.settings, asdict(self.settings.penalty_options)
        options["scale"] = self.scale if options.pop("scaled") else 1.0
        common: dict[str, Any] = {name: numbers[name][:count] for name in NUMBERS}
        common |= {
            "scale": self.scale,
            "generator_steps": settings.generator_steps,
            "penalised": settings.lambda_2 > 0,
            "penalty": options,
        }
        batch = (features, self.text, labels, state.weights(count), update)
        if settings.preset == "released":
            branch = settings.covariate_branch and settings.generator_steps > 0
            return released_step(*batch, covariate_branch=branch, **common)
        return paper_step(*batch, **common | asdict(settings.paper))

    def _accuracy(self, members: list[int]) -> list[float]:
        index = torch.tensor(members, device=self.text.device)
        return accuracy(
            [self.validation[k] for k in members], [self.validation_labels[k] for k in members], self.text,
            self.state.image[index], self.state.text[index],
            self.numbers["ratio_image"][index], self.numbers["ratio_text"][index],
        )  # fmt: skip

    def _record(
        self, epoch: int, active: list[int], rates: list[float], means: dict[str, list[float]], finite: list[bool]
    ) -> list[int]:
        """Drop the runs that diverged; write the others' history and keep their best weights."""
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
            first_trained = self.best[k][0] < 0  # the untrained start is no candidate
            if self.runs[k].settings.select == "last" or first_trained or value > self.best[k][1]:
                self.best[k] = (epoch, value)
                better.append(k)
        if better:
            index = torch.tensor(better, device=self.text.device)
            self.best_weights[0][index] = self.state.image[index]
            self.best_weights[1][index] = self.state.text[index]
        return kept
