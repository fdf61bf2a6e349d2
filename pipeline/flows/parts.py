"""Flows for parts of the graph, to deploy and start separately; they run stages as the train flow does."""

from __future__ import annotations

from pathlib import Path

from prefect import Flow, flow

from pipeline.flows.forms import DataVersions, Retries
from pipeline.flows.train import Outcome, run_part

PARTS = {
    "build-splits": ("split",),
    "finetune": ("finetune",),
    "evaluate": ("evaluate",),
    "export": ("export", "register"),
}
"""Name of the flow to the last stages of its part; what they need comes with them."""


def _part(name: str) -> Flow[..., Outcome]:
    def part(root: str = ".", revision: str = "", data: DataVersions | None = None, retries: Retries = 0) -> Outcome:
        return run_part(Path(root).resolve(), PARTS[name], name=name, revision=revision, data=data, retries=retries)

    part.__name__ = part.__qualname__ = name.replace("-", "_")  # the name by which a worker imports it
    description = f"Bring {' and '.join(PARTS[name])} and everything that they need up to date."
    return flow(name=name, description=description, persist_result=False)(part)


build_splits = _part("build-splits")
finetune = _part("finetune")
evaluate = _part("evaluate")
export = _part("export")
