"""Bad input is refused before training starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError, ParamsError
from pipeline.methods.contract import ClassSet
from pipeline.training.runs import Run
from pipeline.training.views import ViewSource


def check_features(views: NDArray[Any] | ViewSource, clean: NDArray[Any], text: NDArray[Any]) -> None:
    """Shapes fit each other, and every number that is there already is finite.

    Raises:
        DataError: naming the array and the first bad row.
    """
    arrays = [("clean", clean, 2), ("text", text, 2)]
    if isinstance(views, np.ndarray):
        arrays.insert(0, ("views", views, 3))
    elif views.width != text.shape[-1]:
        raise DataError(f"views features are {views.width} wide, text features {text.shape[-1]}")
    for name, array, axes in arrays:
        if array.ndim != axes:
            raise DataError(f"{name} features: expected {axes} axes, found shape {array.shape}")
        if array.shape[-1] != text.shape[-1]:
            raise DataError(f"{name} features are {array.shape[-1]} wide, text features {text.shape[-1]}")
        bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if bad.any():
            raise DataError(
                f"{name} features: {int(bad.sum())} rows are NaN or infinite, the first is row {int(bad.argmax())}; "
                "encode them again"
            )
    if len(text) < 2:
        raise DataError(f"text features: {len(text)} class; at least 2 are needed")
    if isinstance(views, np.ndarray) and views.shape[1] < 1:
        raise DataError(
            "views features: no view per image (featurize.views: 0); train on a source that encodes them, or set "
            "featurize.views to 1 or more"
        )


def check_runs(runs: Sequence[Run], classes: Mapping[bytes | None, ClassSet], *, views: int, clean: int) -> None:
    """Rows and labels of every run are inside the tables and enough to learn from, and its method can start.

    Args:
        runs: any.
        classes: the class set of each run, by `Run.classes`.
        views, clean: rows of the two feature tables.
    Raises:
        DataError: naming the run; ParamsError: a selection that needs validation images which are not there; and what
            the methods' own checks raise.
    """
    for run in runs:
        known = classes[run.classes]
        for part, rows, labels, size in (
            ("train", run.train_rows, run.train_labels, views),
            ("validation", run.validation_rows, run.validation_labels, clean),
        ):
            if rows.ndim != 1 or rows.shape != labels.shape:
                raise DataError(f"{run.name}: {part} rows {rows.shape} and labels {labels.shape} do not match")
            if len(rows) and (rows.min() < 0 or rows.max() >= size):
                raise DataError(f"{run.name}: a {part} row is outside the {size} rows of the feature table")
            if len(rows) and (labels.min() < 0 or labels.max() >= len(known.text)):
                wrong = labels[(labels < 0) | (labels >= len(known.text))][0]
                raise DataError(f"{run.name}: {part} label {int(wrong)} is outside the {len(known.text)} classes")
        if run.kind.trains or run.kind.per_image:
            _check_enough(run)
        if run.kind.check is not None:
            run.kind.check(run.options, known, run.name)


def _check_enough(run: Run) -> None:
    """There is something to learn from, and something to choose by."""
    if not len(run.train_rows):
        raise DataError(f"{run.name}: no training images")
    if len(np.unique(run.train_labels)) < 2:
        raise DataError(f"{run.name}: all {len(run.train_rows)} training images are of one class; check split.shots")
    if run.kind.trains and run.batches < 1:
        raise DataError(
            f"{run.name}: {len(run.train_rows)} training images are fewer than one batch of "
            f"{run.setting('batch_size')}; lower finetune.batch_size or raise split.shots"
        )
    if run.setting("select") == "source-val" and not len(run.validation_rows):
        raise ParamsError(f"{run.name}: select: source-val needs validation images; use select: last")
