"""Whose process works on a flow run: labels on the run, from its creation on, that a later command can check.

Three processes can own a run: the command that started it here; the launcher, which becomes the engine of a deployed
run; and, before the launcher has said so, the worker that took it.
"""

from __future__ import annotations

from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType

from pipeline.origin import ended_here, process_tags

RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
"""Names the run to the process that a worker starts for it."""
OPEN = (StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING)
_STATE = "croft.state"  # the state that the run was in when it was labelled
_WORKER = "prefect.worker.name"  # Prefect's own label; it comes just before the state of that name
_SUBMITTING = "Submitting"
_WORKER_NAME = "croft"


def label_run(client: SyncPrefectClient, run_id: UUID) -> None:
    """Say that this process works on a flow run, in the state that the run is in."""
    state = str(client.read_flow_run(run_id).state_id)
    client.update_flow_run_labels(run_id, {**process_tags(), _STATE: state})


def worker_name() -> str:
    """A name for a worker that this process becomes: Prefect labels each run that it takes with it."""
    return " ".join([_WORKER_NAME, *process_tags().values()])


def owner(run: FlowRun) -> dict[str, object]:
    """Tags of the process that an open run depends on, as `pipeline.origin.process_tags` gives; {} if nobody said."""
    labels: dict[str, object] = dict(run.labels)
    # A run that is tried again has the labels of its last attempt until its new process has started.
    if run.deployment_id is None or run.state_type != StateType.PENDING or labels.get(_STATE) == str(run.state_id):
        return labels
    if run.state_name != _SUBMITTING:
        return {}
    name, *values = str(labels.get(_WORKER, "")).split(" ")
    tags = process_tags()
    return dict(zip(tags, values, strict=True)) if name == _WORKER_NAME and len(values) == len(tags) else {}


def is_dead(run: FlowRun) -> bool:
    """Whether a flow run is open, and the process on this machine that it depends on gone."""
    if run.state_type not in OPEN or not ended_here(owner(run)):
        return False
    # What a worker had started before it was killed goes on, and labels the run in a moment.
    return run.state_type != StateType.PENDING or not _is_being_launched(str(run.id))


def _is_being_launched(run: str) -> bool:
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN_VARIABLE) == run and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except (psutil.Error, OSError):  # another user's, or one that has just ended
            continue
    return False
