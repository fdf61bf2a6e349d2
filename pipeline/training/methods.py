"""All runs of all kinds: adapters in the batched loop, baselines beside it, each ending in a head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.baselines.adapters import adapters_head, zero_shot_head
from pipeline.training import loop
from pipeline.training.checks import check_features, check_runs
from pipeline.training.heads import Trained, check_baselines, fit_baseline, to_device
from pipeline.training.prompts import PromptMaker, learns_prompts
from pipeline.training.runs import Fit, Run
from pipeline.training.settings import BaselineSettings
from pipeline.training.views import ViewSource, as_source

if TYPE_CHECKING:
    from pipeline.backbone.text_tower import TextTower

__all__ = ["Trained", "fit_methods"]


def fit_methods(
    runs: Sequence[Run],
    *,
    views: NDArray[np.float32] | ViewSource,
    clean: NDArray[np.float32],
    text: NDArray[np.float32],
    logit_scale: float,
    device: str,
    dtype: Literal["float32", "float64"] = "float32",
    names: Sequence[str] = (),
    tower: Callable[[], TextTower] | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> list[Trained]:
    """Train runs of any kind; other arguments, errors and independence of runs as in `loop.fit`.

    Baselines are not batched: their parameters are so few that a step costs about as much as starting it, or, where
    prompts are learned, a pass through the text tower, which is the same work for many runs as for one. On a CPU each
    trains with one thread, so that it rounds the same on any machine; those that learn prompts, side by side.

    Args:
        names: how prompts call the C classes; for runs that learn prompts, as is
        tower: the text tower that made the text features; called once, and only if such a run is there.
    Returns:
        One result per run, in the order given.
    """
    check_features(views, clean, text)
    check_runs(runs, len(views), len(clean), len(text))
    source = as_source(views, device)
    baselines = [run for run in runs if isinstance(run.settings, BaselineSettings)]
    check_baselines(baselines)
    clean_on, text_on = (to_device(array, device, dtype) for array in (clean, text))
    maker = PromptMaker(baselines, names, tower, classes=len(text), dtype=text_on.dtype)
    adapters = [run for run in runs if not isinstance(run.settings, BaselineSettings)]
    total = sum(run.settings.epochs for run in runs if run.settings.train)
    done = 0
    lock = Lock()

    def advance(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            if on_epoch is not None:
                on_epoch(done, total)

    data: dict[str, Any] = {"views": source, "clean": clean, "text": text, "logit_scale": logit_scale}
    fits = loop.fit(adapters, **data, device=device, dtype=dtype, on_epoch=lambda now, _: advance(now - done))
    found = {id(fit.run): _with_head(fit, text, logit_scale) for fit in fits}
    threads = torch.get_num_threads()
    workers = threads if text_on.device.type == "cpu" else 1

    def train(run: Run) -> Trained:
        torch.set_num_threads(1)
        return fit_baseline(run, source, clean_on, text_on, logit_scale, maker, lambda: advance(1))

    try:
        found |= {id(run): train(run) for run in baselines if not learns_prompts(run)}
        with ThreadPoolExecutor(max_workers=workers) as pool:
            found |= {id(fit.run): fit for fit in pool.map(train, filter(learns_prompts, baselines))}
    finally:
        torch.set_num_threads(threads)
    return [found[id(run)] for run in runs]


def _with_head(fit: Fit, text: NDArray[np.float32], scale: float) -> Trained:
    settings = fit.run.settings
    if not settings.train:
        head = zero_shot_head(text, scale=scale)
    else:
        ratios = {"ratio_image": settings.ratio_image, "ratio_text": settings.ratio_text}
        head = adapters_head(fit.weight_image, fit.weight_text, text, **ratios, scale=scale)
    return Trained(fit.run, head, fit.epoch, fit.validation_accuracy, fit.diverged, fit.history)
