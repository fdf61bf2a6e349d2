"""Flow runs whose process is gone are ended; those that live, wait for a process or are over are not touched."""

from __future__ import annotations

import os
import subprocess
import sys
from uuid import UUID

import psutil
import pytest
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Crashed, Pending, Running, Scheduled, State, Submitting
from prefect_server import until

from pipeline.flows import dead, owned


@flow(name="train")
def train() -> None:
    pass


@task(name="stage")
def stage() -> None:
    pass


def deployed(client: SyncPrefectClient) -> FlowRun:
    """A run that waits for a worker."""
    deployment = client.create_deployment(client.create_flow(train), "croft")
    return client.create_flow_run_from_deployment(deployment, state=Scheduled())


def labelled(client: SyncPrefectClient, state: State, tags: dict[str, str], patch: pytest.MonkeyPatch) -> UUID:
    """A flow run of a deployment in a state, labelled by the process of these tags."""
    run = deployed(client)
    client.set_flow_run_state(run.id, state, force=True)
    with patch.context() as inner:
        inner.setattr(owned, "process_tags", lambda: tags)
        owned.label_run(client, run.id)
    return run.id


def states(client: SyncPrefectClient, *runs: UUID) -> list[str]:
    return [str(client.read_flow_run(run).state_type.value) for run in runs]


def test_open_runs_of_a_dead_process_are_ended_and_no_others(
    client: SyncPrefectClient, gone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = owned.process_tags()
    pending, running = (labelled(client, state, gone, monkeypatch) for state in (Pending(), Running()))
    begun = client.create_task_run(stage, running, dynamic_key="0", state=Running()).id
    living = [labelled(client, state, mine, monkeypatch) for state in (Pending(), Running())]
    over = labelled(client, Completed(), gone, monkeypatch)
    elsewhere = labelled(client, Running(), {**gone, "croft.host": "another"}, monkeypatch)
    nobody = client.create_flow_run(train, state=Running()).id
    again = labelled(client, Crashed(), gone, monkeypatch)  # tried again, and its new process has not started yet
    client.set_flow_run_state(again, Pending(), force=True)

    said = dead.end_dead_runs()
    assert states(client, pending, running) == ["CRASHED", "CRASHED"]
    assert client.read_task_run(begun).state_type.value == "CRASHED"
    assert states(client, *living, over) == ["PENDING", "RUNNING", "COMPLETED"]
    assert states(client, elsewhere, nobody, again) == ["RUNNING", "RUNNING", "PENDING"]
    assert len(said) == 2
    assert dead.end_dead_runs() == []


def test_a_run_that_ends_while_it_is_looked_at_is_not_touched(
    client: SyncPrefectClient, gone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = labelled(client, Running(), gone, monkeypatch)
    listed = dead._open_runs

    def ends_now(client: SyncPrefectClient) -> list[FlowRun]:
        """As if the process had ended the run, and itself, since the list was read."""
        found = listed(client)
        client.set_flow_run_state(run, Completed(), force=True)
        return found

    monkeypatch.setattr(dead, "_open_runs", ends_now)
    assert dead.end_dead_runs() == []
    assert states(client, run) == ["COMPLETED"]


def taken(
    client: SyncPrefectClient, worker: dict[str, str], patch: pytest.MonkeyPatch, *, name: str = "", state: State
) -> UUID:
    """A run that a worker (with these tags, or of this name) has taken, and whose process says nothing yet."""
    run = deployed(client).id
    with patch.context() as inner:
        inner.setattr(owned, "process_tags", lambda: worker)
        client.update_flow_run_labels(run, {"prefect.worker.name": name or owned.worker_name()})
    client.set_flow_run_state(run, state, force=True)
    return run


def test_runs_that_a_worker_took_before_it_was_killed_are_ended_unless_their_process_lives(
    client: SyncPrefectClient, gone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, spared, early = (
        taken(client, gone, monkeypatch, state=state) for state in (Submitting(), Submitting(), Pending())
    )
    living = taken(client, owned.process_tags(), monkeypatch, state=Submitting())
    elsewhere = taken(client, {**gone, "croft.host": "another"}, monkeypatch, state=Submitting())
    named = taken(client, gone, monkeypatch, name="night shift", state=Submitting())
    environment = {**os.environ, owned.RUN_VARIABLE: str(spared)}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment) as launcher:
        until(lambda: psutil.Process(launcher.pid).environ().get(owned.RUN_VARIABLE), "the launcher", 10.0)
        (said,) = dead.end_dead_runs()
        assert f"is marked as crashed: its process {gone['croft.pid']} is gone" in said
        assert states(client, alone) == ["CRASHED"]
        assert states(client, spared, early, living, elsewhere, named) == ["PENDING"] * 5
        launcher.communicate(b"\n")
    assert len(dead.end_dead_runs()) == 1
    assert states(client, spared, early, living, elsewhere, named) == ["CRASHED", *["PENDING"] * 4]
