"""Train many runs together: group by structure, cut into chunks that fit the cache, give back one fit per run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import DeviceError
from pipeline.training.accuracy import accuracy
from pipeline.training.checks import check_features, check_runs
from pipeline.training.chunk import Chunk
from pipeline.training.runs import Fit, Run
from pipeline.training.views import ViewSource, as_source

CPU_BYTES = 16 * 2**20  # stacked matrices of a chunk; beyond a shared cache of this order, batching stops to pay
GPU_BYTES = 8 * 2**30
COPIES = 9  # three matrices, each with its gradient and velocity


def fit(
    runs: Sequence[Run],
    *,
    views: NDArray[np.float32] | ViewSource,
    clean: NDArray[np.float32],
    text: NDArray[np.float32],
    logit_scale: float,
    device: str,
    dtype: Literal["float32", "float64"] = "float32",
    on_epoch: Callable[[int, int], None] | None = None,
) -> list[Fit]:
    """Train all runs, each as if it were alone.

    A run's numbers do not depend on the other runs: bit for bit on a CPU in float64, within rounding in float32.
    Mini-batches are drawn by the run's seed alone, so methods and settings of one seed see the same ones.

    Args:
        runs: any number, with any settings.
        views: (T, V, D) raw features of augmented training images, epoch e sees view e mod V; or another source.
        clean: (N, D) raw features of images as they are, for validation rows.
        text: (C, D) raw text features, one row per class.
        logit_scale: s = exp(logit_scale parameter), > 0; 100 for CLIP.
        device: "cpu" or "cuda" (any torch device name).
        dtype: of the whole computation and of the weights.
        on_epoch: called with (run-epochs finished, run-epochs in all).
    Returns:
        One `Fit` per run, in the order given.
    Raises:
        DataError, ParamsError: bad features, rows, labels or settings, before any training.
        DeviceError: the device is not there.
    """
    check_features(views, clean, text)
    check_runs(runs, len(views), len(clean), len(text))
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"device {device}: CUDA is not available on this machine; use compute.device: cpu")
    kind = torch.float64 if dtype == "float64" else torch.float32
    source = as_source(views, device)
    clean_on, text_on = (_tensor(array, device) for array in (clean, text))
    clean_on, text_on = clean_on.to(kind), text_on.to(kind)
    trained = [run for run in runs if run.settings.train]
    total = sum(run.settings.epochs for run in trained)
    done = 0
    lock = Lock()

    def finished(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            if on_epoch is not None:
                on_epoch(done, total)

    fits: dict[int, Fit] = {id(run): _untrained(run, clean_on, text_on) for run in runs if not run.settings.train}
    on_cpu = text_on.device.type == "cpu"
    workers = torch.get_num_threads() if on_cpu else 1
    chunks = list(_chunks(trained, _chunk_size(text_on), workers))

    def train(members: Sequence[Run]) -> list[Fit]:
        if on_cpu:
            # One thread per chunk, several chunks side by side: a product that is split over threads rounds
            # differently for one run than for many, and small products gain nothing from the split.
            torch.set_num_threads(1)
        return Chunk(members, source, clean_on, text_on, logit_scale).train(finished)

    try:
        with ThreadPoolExecutor(max_workers=workers) as pool:
            for results in pool.map(train, chunks):
                fits |= {id(result.run): result for result in results}
    finally:
        if on_cpu:
            torch.set_num_threads(workers)
    return [fits[id(run)] for run in runs]


def _tensor(array: NDArray[Any], device: str) -> Tensor:
    """Share memory where possible; a read-only array (a memory map) is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)


def _untrained(run: Run, clean: Tensor, text: Tensor) -> Fit:
    eye = torch.eye(text.shape[-1], dtype=text.dtype, device=text.device)
    rows = clean[torch.tensor(run.validation_rows, device=text.device)]
    ratio = torch.zeros(1, dtype=text.dtype, device=text.device)
    labels = torch.tensor(run.validation_labels, device=text.device)
    (share,) = accuracy([rows], [labels], text, eye[None], eye[None], ratio, ratio)
    return Fit(run, eye.cpu().numpy(), eye.cpu().numpy().copy(), -1, share)


def _chunk_size(text: Tensor) -> int:
    """How many runs are stacked."""
    width = text.shape[-1]
    on_cpu = text.device.type == "cpu"
    if on_cpu and text.dtype == torch.float64 and width % 8:
        # Matrices of a stack would start off 64-byte borders, where the CPU's products round differently.
        return 1
    return max(1, (CPU_BYTES if on_cpu else GPU_BYTES) // (COPIES * width * width * text.element_size()))


def _chunks(runs: Sequence[Run], size: int, workers: int) -> Iterator[list[Run]]:
    """Runs of one structure together, those with equally long epochs side by side, enough chunks for all workers."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.settings.structure, []).append(run)
    for members in groups.values():
        members.sort(key=lambda run: -run.batches)
        stride = min(size, -(-len(members) // workers))
        for start in range(0, len(members), stride):
            yield members[start : start + stride]
