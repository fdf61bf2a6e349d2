"""Events for Prefect's automations: a new version of a data set, and what became of a version of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.events import emit_event
from prefect.runtime import flow_run

from pipeline.errors import CroftError
from pipeline.origin import workspace
from pipeline.params import PARAMS_FILE, load_params

DATA = "croft.data.versioned"
PROMOTED, HELD, FAILED = "croft.version.promoted", "croft.version.held", "croft.version.failed"
PROJECT = "croft.project"
"""Label of every event's resource: the path of the project; one server may serve several."""


def tell_data(root: Path, name: str, payload: dict[str, Any]) -> None:
    """A data set has a new version."""
    _emit(DATA, root, f"croft.data.{name}", name, payload)


def tell_version(event: str, root: Path, sentence: str, **facts: Any) -> None:
    """A version was promoted or held, or the run that should have made it failed.

    Args:
        event: PROMOTED, HELD or FAILED.
        root: the project, or a checkout of it.
        sentence: for a person.
        facts: model, version, champion and the like.
    """
    try:
        model = load_params(root / PARAMS_FILE).register_.model
    except CroftError:  # the reason of the failure, perhaps
        model = "croft"
    payload = {"model": model, "sentence": sentence, "flow_run": flow_run.name, **facts}
    _emit(event, root, f"croft.model.{model}", model, payload)


def _emit(event: str, root: Path, resource: str, name: str, payload: dict[str, Any]) -> None:
    labels = {"prefect.resource.id": resource, "prefect.resource.name": name, PROJECT: str(workspace(root))}
    emit_event(event, resource=labels, payload=payload)  # a server that is gone costs a line in the log, no run
