"""Flows for parts of the graph, to deploy and schedule separately; they run stages as the train flow does."""

from __future__ import annotations

from pathlib import Path

from prefect import Flow, flow

from pipeline.flows.train import Outcome, run_graph

PARTS = {
    "check-data": ("validate",),
    "split": ("split",),
    "finetune": ("finetune",),
    "evaluate": ("evaluate",),
    "export": ("export", "register"),
}
"""Name of the flow to the last stages of its part; what they need comes with them."""


def _part(name: str, last: tuple[str, ...]) -> Flow[..., Outcome]:
    @flow(name=name, persist_result=False)
    def part(root: str = ".", retries: int = 0) -> Outcome:
        return run_graph(Path(root).resolve(), last, name=name, retries=retries)

    part.description = f"Bring {' and '.join(last)} and everything that they need up to date."
    return part


check_data = _part("check-data", PARTS["check-data"])
split = _part("split", PARTS["split"])
finetune = _part("finetune", PARTS["finetune"])
evaluate = _part("evaluate", PARTS["evaluate"])
export = _part("export", PARTS["export"])
