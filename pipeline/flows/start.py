"""A flow in this process, for a command: whose it is stands on its run from the first moment on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import FlowRunCreate
from prefect.client.schemas.objects import FlowRun, FlowRunPolicy
from prefect.flow_engine import run_flow
from prefect.states import Pending, to_state_create
from prefect.utilities.callables import get_call_parameters

from pipeline.flows.given_api import answering
from pipeline.origin import process_tags

if TYPE_CHECKING:
    from pipeline.flows.server import LocalApi

P = ParamSpec("P")
R = TypeVar("R")


def start(flow: Flow[P, R], api: LocalApi | None, /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a flow as calling it does, except that its run is labelled with this process when it is created.

    A run that Prefect creates itself is labelled by the flow's first lines: a process that is killed before them
    leaves a run that nobody can end.

    Args:
        flow: that is not async.
        api: that was started for this process; None for the one that PREFECT_API_URL names.
        args, kwargs: of the flow.
    Raises:
        ServerLostError: the API stopped answering.
        BaseException: whatever the flow raises.
    """
    parameters = get_call_parameters(flow.fn, args, kwargs)
    with answering(api):
        with get_client(sync_client=True) as client:
            run = _create(client, flow, parameters)
        return cast(R, run_flow(flow, flow_run=run, parameters=parameters))


def _create(client: SyncPrefectClient, flow: Flow[..., Any], parameters: dict[str, Any]) -> FlowRun:
    """As `client.create_flow_run`, which takes no labels."""
    created = FlowRunCreate(
        flow_id=client.create_flow(flow),
        flow_version=flow.version,
        parameters=flow.serialize_parameters(parameters),
        state=to_state_create(Pending()),
        empirical_policy=FlowRunPolicy(retries=flow.retries, retry_delay=int(flow.retry_delay_seconds or 0)),
        labels={**process_tags()},
    )
    body = created.model_dump(mode="json", exclude_unset=True)
    return FlowRun.model_validate(client.request("POST", "/flow_runs/", json=body).json())
