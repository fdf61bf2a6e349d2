"""Train many runs of any method together: grouped by structure, cut into stacks that fit the cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import Literal

import torch
from torch import Tensor

from pipeline.errors import DeviceError
from pipeline.methods.contract import ClassSet, Start, Tower
from pipeline.training.checks import check_features, check_runs
from pipeline.training.runs import Inputs, Run, Trained, count_epochs, distinct
from pipeline.training.stack import Data, Stack, start_of
from pipeline.training.views import as_source, to_device

CPU_BYTES = 16 * 2**20  # what a stack holds; beyond a shared cache of this order, stacking stops to pay
GPU_BYTES = 8 * 2**30
CPU_RUNS, GPU_RUNS = 64, 1024  # of methods that learn next to nothing, whose activations are what grows
COPIES = 3  # what is learnt, its gradient and its velocity


def fit(
    runs: Sequence[Run],
    inputs: Inputs,
    *,
    device: str,
    dtype: Literal["float32", "float64"] = "float32",
    on_epoch: Callable[[int, int], None] | None = None,
) -> list[Trained]:
    """Train all runs, each as if it were alone.

    A run's numbers do not depend on the other runs: bit for bit on a CPU in float64, within rounding in float32.
    Mini-batches are drawn by the run's seed alone, so methods and settings of one seed see the same ones. Runs of equal
    keys are trained once and share their head.

    Args:
        runs: any number, of any methods.
        inputs: the features that they learn from.
        device: "cpu" or "cuda" (any torch device name).
        dtype: of the whole computation and of the heads.
        on_epoch: called with (run-epochs finished, run-epochs in all).
    Returns:
        One result per run, in the order given.
    Raises:
        DataError, ParamsError: bad features, rows, labels or settings, before any training.
        DeviceError: the device is not there.
    """
    check_features(inputs.views, inputs.clean, inputs.text)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"device {device}: CUDA is not available on this machine; use compute.device: cpu")
    kind = torch.float64 if dtype == "float64" else torch.float32
    data = Data(as_source(inputs.views, device), to_device(inputs.clean, device).to(kind))
    text = to_device(inputs.text, device).to(kind)
    unique = list(distinct(runs).values())
    classes = _class_sets(unique, text, inputs)
    check_runs(unique, classes, views=len(data.views), clean=len(data.clean))
    progress = _Progress(count_epochs(unique), on_epoch)
    on_cpu = text.device.type == "cpu"
    workers = torch.get_num_threads() if on_cpu else 1
    started: dict[Run, Start] = {}  # what sizing the stacks has started already: a cache of images is costly to make
    stacks = list(_stacks(unique, data, classes, workers, started))

    def train(members: Sequence[Run]) -> list[Trained]:
        if on_cpu:
            # One thread per stack, several stacks side by side: a product that is split over threads rounds
            # differently for one run than for many, and small products gain nothing from the split.
            torch.set_num_threads(1)
        return Stack(members, data, classes, started).train(progress.advance)

    results: dict[tuple[object, ...], Trained] = {}
    try:
        with ThreadPoolExecutor(max_workers=workers) as pool:
            for trained in pool.map(train, stacks):
                results |= {result.run.key: result for result in trained}
    finally:
        if on_cpu:
            torch.set_num_threads(workers)
    return [replace(results[run.key], run=run) for run in runs]


class _Progress:
    """Counts the run-epochs of all stacks."""

    def __init__(self, total: int, on_epoch: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self.on_epoch, self.lock = 0, total, on_epoch, Lock()

    def advance(self, count: int) -> None:
        with self.lock:
            self.done += count
            if self.on_epoch is not None:
                self.on_epoch(self.done, self.total)


def _class_sets(runs: Sequence[Run], text: Tensor, inputs: Inputs) -> dict[bytes | None, ClassSet]:
    """What runs share that know the same classes, by `Run.classes`; the tower is loaded when it is first asked for."""
    ask = inputs.tower
    tower: Callable[[], Tower] | None = None
    if ask is not None:
        tower = functools.cache(lambda: ask().in_dtype(text.dtype))
    sets = {}
    for run in runs:
        if run.classes in sets:
            continue
        rows, names = run.text_rows, list(inputs.names)
        if rows is None:
            sets[run.classes] = ClassSet(text, inputs.logit_scale, names, tower)
        else:
            names = [names[row] for row in rows] if len(names) == len(text) else names
            sets[run.classes] = ClassSet(text[torch.tensor(rows)], inputs.logit_scale, names, tower)
    return sets


def _structure(run: Run, text: Tensor) -> tuple[object, ...]:
    """Runs that agree on this can be one tensor program; all else is a number per run.

    Args:
        text: (C, D) of the classes that the run knows.
    """
    # In float64 results must not depend on the stack, but matrices off 64-byte borders round differently.
    apart = run.kind.one_class_set or (text.dtype == torch.float64 and text.numel() % 8 != 0)
    settings = tuple((k, v) for k, v in run.options if not isinstance(v, float) and k != "select")
    extra = run.kind.structure(run.options) if run.kind.structure else None
    return (run.classes if apart else len(text), settings, extra, len(run.train_rows) if run.kind.per_image else None)


def _stacks(
    runs: Sequence[Run], data: Data, classes: dict[bytes | None, ClassSet], workers: int, started: dict[Run, Start]
) -> Iterator[list[Run]]:
    """Runs of one structure together, those with equally long epochs side by side, enough stacks for all workers."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(_structure(run, classes[run.classes].text), []).append(run)
    for members in groups.values():
        members.sort(key=lambda run: -run.batches)
        started[members[0]] = start = start_of(members[0], data, classes[members[0].classes])
        most = _most(list(start.learnt.values()), data.clean)
        stride = min(most, -(-len(members) // workers))
        for first in range(0, len(members), stride):
            yield members[first : first + stride]


def _most(learnt: Sequence[Tensor], like: Tensor) -> int:
    """How many runs are stacked that each learn arrays like these."""
    on_cpu = like.device.type == "cpu"
    if on_cpu and like.dtype == torch.float64 and any(a.ndim > 1 and a.numel() % 8 for a in learnt):
        # Matrices of a stack would start off 64-byte borders, where the CPU's products round differently.
        return 1
    size = COPIES * sum(array.numel() for array in learnt) * like.element_size()
    runs, budget = (CPU_RUNS, CPU_BYTES) if on_cpu else (GPU_RUNS, GPU_BYTES)
    return max(1, min(runs, budget // max(1, size)))
