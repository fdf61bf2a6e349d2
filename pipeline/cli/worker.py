"""`croft worker`: Prefect's worker for this project, after the runs that a killed one left open have been ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pipeline.cli.deploy import check_api
from pipeline.console import make_console, say
from pipeline.flows.server import POOL


def start_worker(arguments: Sequence[str]) -> None:
    """End dead flow runs, then become `prefect worker start`; does not return.

    Args:
        arguments: for `prefect worker start`; without a pool among them, the pool is POOL.
    Raises:
        ParamsError: no Prefect server is named.
        PipelineError: it cannot be reached.
    """
    check_api()
    from pipeline.flows.dead import end_dead_runs

    console = make_console()
    for sentence in end_dead_runs():
        say(sentence, console)
    sys.stdout.flush()
    pool = [] if {"-p", "--pool"} & {argument.partition("=")[0] for argument in arguments} else ["--pool", POOL]
    os.execv(sys.executable, [sys.executable, "-m", "prefect", "worker", "start", *pool, *arguments])  # noqa: S606
