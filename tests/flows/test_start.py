"""Flows that a command starts: their runs tell whose they are at once, and an API that dies is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from ports import free_port
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.runtime import flow_run

from pipeline.errors import DataError, ServerLostError
from pipeline.flows.dead import end_dead_runs
from pipeline.flows.given_api import answering
from pipeline.flows.server import API_VARIABLE
from pipeline.flows.start import start
from pipeline.origin import process_tags

ROOT = Path(__file__).resolve().parents[2]


@flow(name="add", persist_result=False)
def add(one: int, other: int = 2, *, wrong: bool = False) -> tuple[int, str]:
    if wrong:
        raise DataError("no image here")
    return one + other, str(flow_run.id)


def test_a_flow_runs_as_if_it_was_called(client: SyncPrefectClient) -> None:
    total, number = start(add, None, 1)
    run = client.read_flow_run(number)
    assert (total, run.parameters, run.state_name) == (3, {"one": 1, "other": 2, "wrong": False}, "Completed")
    assert run.labels.items() >= process_tags().items()
    with pytest.raises(DataError, match="no image here"):
        start(add, None, 1, wrong=True)


# A process that dies between the creation of its flow run and the flow's first line.
DIES = """
import os
import pipeline.flows.start as module
from pipeline.flows.train import train

module.run_flow = lambda *_, **__: os._exit(9)
module.start(train, None, ".")
"""


def test_a_process_that_dies_before_its_flow_has_begun_leaves_a_run_that_is_ended(client: SyncPrefectClient) -> None:
    known = {run.id for run in client.read_flow_runs()}
    done = subprocess.run([sys.executable, "-c", DIES], cwd=ROOT, env=os.environ, check=False)
    assert done.returncode == 9
    (run,) = [run for run in client.read_flow_runs() if run.id not in known]
    assert run.state_name == "Pending"
    (said,) = end_dead_runs()
    assert said.startswith(f"flow run {run.name} (train) is marked as crashed: ")
    assert client.read_flow_run(run.id).state_name == "Crashed"


# A flow whose API is killed before its first task.
LOSES = """
import os, signal
from pathlib import Path
from pipeline.cli.run import await_api, begin_flow
from pipeline.console import one_line_errors

api = begin_flow(Path.cwd())
from prefect import flow, task
from pipeline.flows.start import start


@task(persist_result=False)
def step():
    pass


@flow(name="loses", persist_result=False)
def loses():
    os.kill(api._process.pid, signal.SIGKILL)
    step()


await_api(api)
with one_line_errors():
    start(loses, api)
"""


def test_a_local_api_that_dies_during_a_flow_is_one_line(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    done = subprocess.run(
        [sys.executable, "-c", LOSES],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(ROOT), "PREFECT_CLIENT_MAX_RETRIES": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: Prefect's local API stopped during the run (")
    log = tmp_path / ".croft" / "prefect" / "server.log"
    ends = f"; finished stages are kept; run this again; if it stops again, see its log, {log}\n"
    assert done.stderr.endswith(ends)
    assert done.stderr.count("\n") == 1


def test_a_server_that_no_longer_answers_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    host = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv(API_VARIABLE, f"http://me:secret@{host}/api")
    with pytest.raises(ServerLostError) as caught, answering(None):
        httpx.get(f"http://me:secret@{host}/api/health")
    said = str(caught.value)
    assert said.startswith(f"PREFECT_API_URL: http://{host}/api stopped answering during the run (")
    assert said.endswith("; finished stages are kept; start that server, then run this again")
    assert "secret" not in said
