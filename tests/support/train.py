"""Short ways to train in tests."""

from __future__ import annotations

from typing import Any

from pipeline.methods.settings import options
from pipeline.params.section import Section
from pipeline.training.engine import fit
from pipeline.training.runs import Inputs, Run, Trained

RUNNING = ("device", "dtype", "on_epoch")


def train(runs: list[Run], **data: Any) -> list[Trained]:
    """`engine.fit` on the CPU, with the fields of `Inputs` among its keywords."""
    running = {"device": "cpu"} | {key: data[key] for key in RUNNING if key in data}
    return fit(runs, Inputs(**{key: value for key, value in data.items() if key not in RUNNING}), **running)


def changed(settings: Section, **values: Any) -> Section:
    """The same settings with other values, checked again."""
    return options({**settings.model_dump(), **values})
