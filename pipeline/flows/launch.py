"""`python -m pipeline.flows.launch`: what a worker starts in the project's folder for a deployed flow run.

It makes the checkout that the run's parameters ask for, goes there, and becomes Prefect's engine, so that the flow and
its stages import the code of the checkout and none that a person is editing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from uuid import UUID

from pipeline import telemetry
from pipeline.errors import CroftError


def main() -> None:
    """Become the engine of the flow run that the environment names, or mark the run as failed."""
    telemetry.disable()
    from prefect.client.orchestration import get_client
    from prefect.states import Failed

    from pipeline.checkout.make import make_checkout
    from pipeline.flows.owned import RUN_VARIABLE, label_run

    run_id = UUID(os.environ[RUN_VARIABLE])
    project = Path.cwd()
    with get_client(sync_client=True) as client:
        # Before it runs: with the label of an earlier attempt's process it would be taken for dead.
        label_run(client, run_id)
        parameters = client.read_flow_run(run_id).parameters
        if parameters.get("revision"):
            try:
                checkout = make_checkout(project, str(parameters["revision"]), parameters.get("data") or {})
            except CroftError as error:
                print(f"error: {error}", file=sys.stderr)
                client.set_flow_run_state(run_id, Failed(message=str(error)), force=True)
                from pipeline.flows.events import FAILED, tell_version

                tell_version(FAILED, project, str(error))
                return
            print(f"Checkout of {parameters['revision']} ({checkout.commit[:12]}): {checkout.root}", flush=True)
            os.chdir(checkout.root)
    # The same process: its number is the one that the worker knows and that owns the checkout.
    os.execv(sys.executable, [sys.executable, "-m", "prefect.engine"])  # noqa: S606


if __name__ == "__main__":
    main()
