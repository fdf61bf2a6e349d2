"""All runs of all kinds: adapters in the batched loop, baselines beside it, each ending in a head."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.methods.adapters import adapters_head, zero_shot_head
from pipeline.training import loop
from pipeline.training.checks import check_features, check_runs
from pipeline.training.heads import Trained, check_baselines, fit_baseline, to_device
from pipeline.training.prompts import PromptMaker, learns_prompts
from pipeline.training.runs import Fit, Run
from pipeline.training.settings import BaselineSettings
from pipeline.training.views import ViewSource, as_source

if TYPE_CHECKING:
    from pipeline.backbone.protocol import PromptTower

__all__ = ["Trained", "count_epochs", "distinct", "fit_methods"]


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
    tower: Callable[[], PromptTower] | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> list[Trained]:
    """Train runs of any kind; other arguments, errors and independence of runs as in `loop.fit`.

    Runs of equal keys are trained once and share their result. Runs that know the same classes are trained together.
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
    once = distinct(runs)
    load = None if tower is None else functools.cache(tower)
    kind = torch.float64 if dtype == "float64" else torch.float32
    sets = [
        _class_set(members, text, names, load, views=len(views), clean=len(clean), dtype=kind)
        for members in _by_classes(once.values())
    ]
    source = as_source(views, device)
    total = count_epochs(runs)
    done = 0
    lock = Lock()

    def advance(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            if on_epoch is not None:
                on_epoch(done, total)

    found: dict[int, Trained] = {}
    for each in sets:
        found |= _fit_class_set(each, source, clean, logit_scale, device, dtype, advance)
    return [replace(found[id(once[run.key])], run=run) for run in runs]


def distinct(runs: Sequence[Run]) -> dict[tuple[object, ...], Run]:
    """The first run of each key: what is really trained."""
    once: dict[tuple[object, ...], Run] = {}
    for run in runs:
        once.setdefault(run.key, run)
    return once


def count_epochs(runs: Sequence[Run]) -> int:
    """How many run-epochs `fit_methods` trains, for progress."""
    return sum(run.settings.epochs for run in distinct(runs).values() if run.settings.train)


@dataclass(frozen=True)
class _ClassSet:
    """Runs that know the same classes, with the text features of these and what makes prompts of their names."""

    adapters: list[Run]
    baselines: list[Run]
    text: NDArray[np.float32]
    maker: PromptMaker


def _by_classes(runs: Iterable[Run]) -> list[list[Run]]:
    sets: dict[bytes | None, list[Run]] = {}
    for run in runs:
        sets.setdefault(run.classes, []).append(run)
    return list(sets.values())


def _class_set(
    runs: list[Run],
    text: NDArray[np.float32],
    names: Sequence[str],
    tower: Callable[[], PromptTower] | None,
    *,
    views: int,
    clean: int,
    dtype: torch.dtype,
) -> _ClassSet:
    """Check the runs of one class set and put together what they share; errors as in `fit_methods`."""
    rows = runs[0].text_rows
    if rows is not None:
        names = [names[row] for row in rows] if len(names) == len(text) else names
        text = text[rows]
    check_runs(runs, views, clean, len(text))
    baselines = [run for run in runs if isinstance(run.settings, BaselineSettings)]
    check_baselines(baselines)
    maker = PromptMaker(baselines, names, tower, classes=len(text), dtype=dtype)
    return _ClassSet([run for run in runs if not isinstance(run.settings, BaselineSettings)], baselines, text, maker)


def _fit_class_set(
    each: _ClassSet,
    source: ViewSource,
    clean: NDArray[np.float32],
    scale: float,
    device: str,
    dtype: Literal["float32", "float64"],
    advance: Callable[[int], None],
) -> dict[int, Trained]:
    """Results by the id of their run."""
    before = 0

    def so_far(done: int, _: int) -> None:
        nonlocal before
        advance(done - before)
        before = done

    data: dict[str, Any] = {"views": source, "clean": clean, "text": each.text, "logit_scale": scale}
    fits = loop.fit(each.adapters, **data, device=device, dtype=dtype, on_epoch=so_far)
    found = {id(fit.run): _with_head(fit, each.text, scale) for fit in fits}
    clean_on, text_on = (to_device(array, device, dtype) for array in (clean, each.text))
    threads = torch.get_num_threads()
    workers = threads if text_on.device.type == "cpu" else 1

    def train(run: Run) -> Trained:
        torch.set_num_threads(1)
        return fit_baseline(run, source, clean_on, text_on, scale, each.maker, lambda: advance(1))

    try:
        found |= {id(run): train(run) for run in each.baselines if not learns_prompts(run)}
        with ThreadPoolExecutor(max_workers=workers) as pool:
            found |= {id(fit.run): fit for fit in pool.map(train, filter(learns_prompts, each.baselines))}
    finally:
        torch.set_num_threads(threads)
    return found


def _with_head(fit: Fit, text: NDArray[np.float32], scale: float) -> Trained:
    settings = fit.run.settings
    if not settings.train:
        head = zero_shot_head(text, scale=scale)
    else:
        ratios = {"ratio_image": settings.ratio_image, "ratio_text": settings.ratio_text}
        head = adapters_head(fit.weight_image, fit.weight_text, text, **ratios, scale=scale)
    return Trained(fit.run, head, fit.epoch, fit.validation_accuracy, fit.diverged, fit.history)
