"""Flow runs whose process is gone are ended; those that live, wait for a process or are over are not touched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Crashed, Pending, Running, Scheduled, State

from pipeline.flows import dead
from pipeline.flows.server import API_VARIABLE, HOME_VARIABLE, start_api


@flow(name="train")
def train() -> None:
    pass


@task(name="stage")
def stage() -> None:
    pass


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncPrefectClient]:
    """Of a server with an empty database."""
    folder = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        for name in (API_VARIABLE, "no_proxy", "NO_PROXY"):
            patch.setenv(name, "")
        patch.setenv(HOME_VARIABLE, str(folder))
        api = start_api(folder)
        assert api is not None
        try:
            api.wait()
            with temporary_settings({PREFECT_API_URL: api.url}), get_client(sync_client=True) as client:
                yield client
        finally:
            api.stop()


@pytest.fixture(scope="module")
def gone() -> dict[str, str]:
    """The tags of a process that is gone."""
    code = "import json; from pipeline.origin import process_tags; print(json.dumps(process_tags()))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def labelled(client: SyncPrefectClient, state: State, tags: dict[str, str], patch: pytest.MonkeyPatch) -> UUID:
    """A flow run in a state, labelled by the process of these tags."""
    run = client.create_flow_run(train, state=Scheduled())
    client.set_flow_run_state(run.id, state, force=True)
    with patch.context() as inner:
        inner.setattr(dead, "process_tags", lambda: tags)
        dead.label_run(client, run.id)
    return run.id


def states(client: SyncPrefectClient, *runs: UUID) -> list[str]:
    return [str(client.read_flow_run(run).state_type.value) for run in runs]


def test_open_runs_of_a_dead_process_are_ended_and_no_others(
    client: SyncPrefectClient, gone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = dead.process_tags()
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
