"""Random features of any size, with runs that differ in seed and λ1 as a grid's do."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.methods.settings import options
from pipeline.training.runs import Inputs, Run

IMAGES, VALIDATION, VIEWS = 320, 160, 4  # ten mini-batches of 32 an epoch
SETTINGS: dict[str, Any] = {"lambda_1": 1.0, "lambda_2": 1.0, "lr": 0.01, "batch_size": 32}


def tables(width: int, classes: int) -> Inputs:
    """What `training.engine.fit` takes besides runs: classes around random centres."""
    source = np.random.default_rng(width + classes)
    centres = source.normal(size=(classes, width))

    def draw(rows: int, *views: int) -> np.ndarray:
        labels = np.arange(rows) % classes
        middle = centres[labels].reshape(rows, *(1 for _ in views), width)
        return (middle + 2 * source.normal(size=(rows, *views, width))).astype(np.float32)

    return Inputs(draw(IMAGES, VIEWS), draw(VALIDATION), draw(classes), 30.0)


def runs(count: int, classes: int, epochs: int) -> list[Run]:
    """`count` runs of the whole method."""
    train, validation = np.arange(IMAGES), np.arange(VALIDATION)
    return [
        Run(
            "croft",
            "target",
            number,
            options({**SETTINGS, "lambda_1": 1 + number / count, "epochs": epochs}),
            train,
            train % classes,
            validation,
            validation % classes,
        )
        for number in range(count)
    ]
