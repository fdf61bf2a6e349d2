"""The promote flow: a version through the gate, and promoted by policy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prefect import flow

from pipeline import telemetry
from pipeline.flows.dead import replace_dead_runs
from pipeline.flows.forms import DataVersions, Hours, Superiority
from pipeline.flows.gate import Rules, decide
from pipeline.flows.place import entered
from pipeline.params import PARAMS_FILE, load_params
from pipeline.process.reaper import guard
from pipeline.registry.gate import Verdict  # Prefect resolves every annotation of a flow, or else none


@flow(name="promote", persist_result=False)
def promote(
    root: str = ".",
    version: str = "challenger",
    revision: str = "",
    data: DataVersions | None = None,
    policy: Literal["auto", "ask", "never"] = "auto",
    superiority: Superiority | None = None,
    hours: Hours = 24.0,
) -> Verdict:
    """Put a version through the gate, and make it champion if the policy says so.

    Args:
        root: the project's folder.
        version: a number or an alias.
        revision: whose code and params.yaml judge; what the version was evaluated on is found by itself.
        data: data sets by name, each "latest" or the number of a version.
        policy: auto (promote what passes), ask (a person decides) or never (store the verdict only).
        superiority: metric that must be better, in place of that of params.yaml.
        hours: that a person has to answer with `ask`; afterwards the version is held.
    Raises:
        CroftError: there is no such version, or the registry failed.
    """
    telemetry.disable()
    guard()
    replace_dead_runs()
    folder = Path(root).resolve()
    with entered(folder, revision, data):  # for its code and params.yaml; the gate finds the images by itself
        model = load_params(folder / PARAMS_FILE).register_.model
        return decide(folder, model, version, Rules(policy, superiority, hours))
