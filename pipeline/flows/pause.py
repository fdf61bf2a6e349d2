"""A flow run that pauses for a form and goes on by itself where nobody fills it in.

Prefect's own `pause_flow_run` makes a run fail then: the server ends every pause that is over, perhaps before the run
itself has looked. Here the run ends its pause, long before the server would.
"""

from __future__ import annotations

import time
from typing import Any, TypeVar, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort
from prefect.input import RunInput
from prefect.input.run_input import keyset_from_paused_state
from prefect.runtime import flow_run
from prefect.states import Paused, Running
from prefect.utilities.engine import propose_state_sync

from pipeline.errors import PipelineError

Form = TypeVar("Form", bound=RunInput)
_POLL_SECONDS = 5.0
_MARGIN_SECONDS = 3600  # after which the server would end the pause, if this process were gone


def wait_for(form: type[Form], *, seconds: float) -> Form | None:
    """Pause the present flow run until the form is filled in on Prefect's page or through its API.

    Args:
        form: what is asked for; its defaults stand in the form.
        seconds: that an answer is awaited.
    Returns:
        The answer; None where there is none in time.
    Raises:
        PipelineError: the run may not pause, or was ended while it paused.
    """
    run, until = UUID(str(flow_run.id)), time.monotonic() + seconds
    paused: State[Any] = Paused(timeout_seconds=int(seconds) + _MARGIN_SECONDS, reschedule=False, pause_key="verdict")
    keys = keyset_from_paused_state(paused)
    paused.state_details.run_input_keyset = {str(name): key for name, key in keys.items()}
    form.save(keys)  # before the pause: an answer that comes at once is checked against it
    with get_client(sync_client=True) as client:
        try:
            state: State[Any] | None = propose_state_sync(client, paused, flow_run_id=run)
        except Abort as error:
            raise PipelineError(f"this run cannot pause for an answer: {error}") from None
        while state is not None and state.is_paused():
            left = until - time.monotonic()
            if left <= 0.0:
                client.set_flow_run_state(run, Running(), force=True)
                return None
            time.sleep(min(left, _POLL_SECONDS))
            state = client.read_flow_run(run).state
        if state is None or not state.is_running():
            raise PipelineError(
                f"this run was ended while it waited for an answer: {state.name if state else 'unknown'}"
            )
    return cast(Form, form.load(keys))
