"""`croft worker`: Prefect's worker for this project, after what a killed one left open has been ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.cli.deploy import check_api
from pipeline.console import make_console, say
from pipeline.errors import TrackingError
from pipeline.flows.server import POOL

if TYPE_CHECKING:
    from rich.console import Console


def start_worker(arguments: Sequence[str]) -> None:
    """End flow runs and MLflow runs of dead processes, then become `prefect worker start`; does not return.

    Args:
        arguments: for `prefect worker start`; without a pool among them, the pool is POOL, and without a name, the
            name tells this process, so that what it took can be ended if it is killed at once.
    Raises:
        ParamsError: no Prefect server is named.
        PipelineError: it cannot be reached.
    """
    check_api()
    from pipeline.flows.dead import end_dead_runs
    from pipeline.flows.owned import worker_name

    console = make_console()
    for sentence in end_dead_runs():
        say(sentence, console)
    _end_stage_runs(console)
    sys.stdout.flush()
    options = {argument.partition("=")[0] for argument in arguments}
    pool = [] if {"-p", "--pool"} & options else ["--pool", POOL]
    name = [] if {"-n", "--name"} & options else ["--name", worker_name()]
    command = [sys.executable, "-m", "prefect", "worker", "start", *pool, *name, *arguments]
    os.execv(sys.executable, command)  # noqa: S606 (the same process: its number is in the name)


def _end_stage_runs(console: Console) -> None:
    from pipeline.tracking.parents import close_stale_parents, killed_sentence

    try:
        for run in close_stale_parents():
            say(killed_sentence(run), console)
    except TrackingError as error:  # a worker can wait for runs; each of them says so itself if it cannot track
        say(f"warning: MLflow runs of dead processes were not looked for: {error}", console)
