"""Flow runs whose process was killed: nobody tells Prefect, so the next run or worker on the same machine does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from uuid import UUID

from httpx import HTTPError
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run
from prefect.states import Cancelled, Crashed

from pipeline.errors import PipelineError
from pipeline.flows.owned import OPEN, is_dead, label_run, owner
from pipeline.flows.server import API_VARIABLE

_PAGE = 200  # flow runs a request; the server's limit


def replace_dead_runs() -> list[str]:
    """Label the present flow run with its process, and end those whose process is gone.

    Returns:
        What was ended, a sentence each; also in the log of the run. A server that refuses costs a warning, not the run.
    """
    logger = get_run_logger()
    try:
        with _server() as client:
            label_run(client, UUID(flow_run.id))
        ended = end_dead_runs()
    except PipelineError as error:
        logger.warning("flow runs of dead processes were not looked for: %s", error)
        return []
    for sentence in ended:
        logger.warning("%s", sentence)
    return ended


def end_dead_runs() -> list[str]:
    """End the flow runs of this project's flows that are open on this host and whose process is gone.

    Returns:
        What was ended, a sentence each.
    Raises:
        PipelineError: the server cannot be reached, or refuses.
    """
    ended = []
    with _server() as client:
        for listed in filter(is_dead, _open_runs(client)):
            # Its process may have ended the run, and then itself, after the list was read; or a new one took it over.
            run = client.read_flow_run(listed.id)
            if not is_dead(run):
                continue
            reason = f"its process {owner(run)['croft.pid']} is gone"
            cancelled = run.state_type == StateType.CANCELLING
            client.set_flow_run_state(run.id, Cancelled(message=reason) if cancelled else Crashed(message=reason))
            _end_tasks(client, run.id, reason)
            flow = client.read_flow(run.flow_id).name
            started = f", started {run.start_time:%Y-%m-%d %H:%M} UTC" if run.start_time else ""
            state = "cancelled" if cancelled else "crashed"
            ended.append(f"flow run {run.name} ({flow}{started}) is marked as {state}: {reason}")
    return ended


def _end_tasks(client: SyncPrefectClient, run: UUID, reason: str) -> None:
    """End the task runs of a flow run that are open: the server does so only where it was told of their start."""
    of_run, states = FlowRunFilter(id=FlowRunFilterId(any_=[run])), TaskRunFilterStateType(any_=list(OPEN))
    still_open = TaskRunFilter(state=TaskRunFilterState(type=states))
    for task_run in client.read_task_runs(flow_run_filter=of_run, task_run_filter=still_open):
        client.set_task_run_state(task_run.id, Crashed(message=reason), force=True)


def _open_runs(client: SyncPrefectClient) -> list[FlowRun]:
    states = FlowRunFilterStateType(any_=list(OPEN))
    chosen = FlowRunFilter(state=FlowRunFilterState(type=states))
    runs: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(flow_run_filter=chosen, limit=_PAGE, offset=len(runs))
        runs += page
        if len(page) < _PAGE:
            return runs


@contextlib.contextmanager
def _server() -> Iterator[SyncPrefectClient]:
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (PrefectException, HTTPError) as error:
        raise PipelineError(
            f"{os.environ.get(API_VARIABLE)}: Prefect's server cannot be used ({error}); check {API_VARIABLE}"
        ) from None
