"""infra/prefect.yaml with the real server, the real `prefect deploy` and a real worker."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil
import pytest
from pictures import make_project, write_pictures
from tiny_registration import STAGE, write_export

from pipeline.process.group import end_session
from pipeline.versioning.history import read_history

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0  # seconds; only reached when something is broken
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.3)
    return found


class Prefect:
    """Commands of the environment against one server, and that server's REST API."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api"
        self.log = folder / "log.txt"
        self.running: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT"))},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self._start([str(Path(sys.executable).with_name("prefect")), *arguments])

    def croft(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self._start([sys.executable, "-m", "pipeline.cli", *arguments])

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def call(self, path: str, body: object | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, {"Content-Type": "application/json"})  # noqa: S310
        text = until(lambda: self._answer(request), f"an answer to {path}")
        return json.loads(text[0]) if text[0] else None

    @staticmethod
    def _answer(request: urllib.request.Request) -> list[bytes]:
        """Nothing while SQLite is locked: the server then says 503, and Prefect's own client asks again."""
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return [response.read()]
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return []

    def state(self, run: str) -> str:
        return str(self.call(f"flow_runs/{run}")["state_type"])

    def healthy(self) -> bool:
        with contextlib.suppress(urllib.error.URLError):
            return bool(self.call("health"))
        return False


@pytest.fixture
def prefect(tmp_path: Path) -> Iterator[Prefect]:
    one = Prefect(tmp_path)
    yield one
    for process in reversed(one.running):
        end_session(process)
        process.wait(PATIENCE)  # or Python complains about a child that nobody has waited for


def parents(root: Path) -> list[str]:
    """The status of each MLflow parent run, oldest first."""
    with contextlib.closing(sqlite3.connect(root / ".croft" / "mlflow.db")) as database:
        return [
            status for (status,) in database.execute("SELECT status FROM runs WHERE name = 'train' ORDER BY start_time")
        ]


def planned(prefect: Prefect, deployment: str) -> list[datetime]:
    """When the runs are due that the server has planned for a deployment."""
    runs = prefect.call("flow_runs/filter", {"flow_runs": {"deployment_id": {"any_": [deployment]}}})
    return [datetime.fromisoformat(run["expected_start_time"]) for run in runs if run["auto_scheduled"]]


def test_a_worker_runs_the_deployment_and_cancelling_ends_its_stage(
    project: Callable[[dict[str, dict[str, object]]], Path], prefect: Prefect, tmp_path: Path
) -> None:
    prefect.start("server", "start", "--no-ui")
    until(lambda: prefect.healthy(), "the server")
    assert prefect.start("work-pool", "create", "croft", "--type", "process").wait(PATIENCE) == 0
    assert prefect.start("deploy", "--all", "--prefect-file", "infra/prefect.yaml").wait(PATIENCE) == 0
    deployment = prefect.call("deployments/name/train/weekly")
    addition = prefect.call("deployments/name/version-data/add")
    assert addition["parameter_openapi_schema"]["required"] == ["path", "name"]
    (schedule,) = deployment["schedules"]
    assert schedule["active"]
    assert schedule["schedule"]["cron"] == "0 3 * * 1"

    root = project(
        {
            "one": {"cmd": "echo 1 > one.txt", "outs": ["one.txt"]},
            "two": {
                "cmd": "test ! -e slow || { echo $$ > pid; sleep 600; }; cp one.txt two.txt",
                "deps": ["one.txt"],
                "params": ["a"],
                "outs": ["two.txt"],
            },
        }
    )
    # The server itself plans the runs of a schedule; a worker only takes them when they are due.
    due = until(lambda: planned(prefect, deployment["id"]), "the runs that the schedule plans")
    assert {(at.weekday(), at.hour, at.minute) for at in due} == {(0, 3, 0)}
    worker = prefect.start("worker", "start", "--pool", "croft")

    def start(which: dict[str, Any], parameters: dict[str, object]) -> str:
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(prefect.call(f"deployments/{which['id']}/create_flow_run", body)["id"])

    def trigger() -> str:
        return start(deployment, {"root": str(root), "retries": 0})

    other = make_project(tmp_path / "other")
    write_pictures(tmp_path / "mine", {"photo/dog/1.png": 1, "photo/cat/1.png": 2})
    added = start(addition, {"root": str(other), "path": "../mine", "name": "mine"})
    until(lambda: prefect.state(added) in ENDED, "the addition")
    assert prefect.state(added) == "COMPLETED"
    assert [version.images for version in read_history(other, "mine")] == [2]

    first = trigger()
    until(lambda: prefect.state(first) in ENDED, "the first run")
    assert prefect.state(first) == "COMPLETED"
    assert (root / "two.txt").read_text() == "1\n"
    tasks = prefect.call("task_runs/filter", {"flow_runs": {"id": {"any_": [first]}}})
    assert {task["name"]: task["state_type"] for task in tasks} == {"one": "COMPLETED", "two": "COMPLETED"}

    (root / "slow").touch()
    (root / "params.yaml").write_text("a: 2\n")
    second = trigger()
    until(lambda: (root / "pid").is_file() and (root / "pid").read_text().strip(), "the slow stage")
    stage = psutil.Process(int((root / "pid").read_text()))
    family = [stage, *stage.children(recursive=True), *stage.parents()[:1]]  # the shell, its sleep, and dvc
    prefect.call(f"flow_runs/{second}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
    until(lambda: prefect.state(second) in ENDED, "the cancelled run")
    assert prefect.state(second) == "CANCELLED"
    until(
        lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family), "its processes to end"
    )

    worker.send_signal(signal.SIGINT)
    worker.wait(PATIENCE)


def test_a_scheduled_first_version_becomes_champion_and_a_killed_worker_leaves_no_open_run(
    project: Callable[[dict[str, dict[str, object]]], Path], prefect: Prefect
) -> None:
    root = project(
        {
            "slow": {
                "cmd": "test ! -e wait || { echo $$ > pid; sleep 600; }; echo 1 > slow.txt",
                "deps": ["seed"],
                "outs": ["slow.txt"],
            },
            "register": STAGE,
        }
    )
    write_export(root)
    (root / "seed").write_text("1")
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    prefect.environment["PYTHONPATH"] = str(ROOT)
    prefect.start("server", "start", "--no-ui")
    until(lambda: prefect.healthy(), "the server")
    assert prefect.start("work-pool", "create", "croft", "--type", "process").wait(PATIENCE) == 0
    assert prefect.start("deploy", "--all", "--prefect-file", "infra/prefect.yaml").wait(PATIENCE) == 0
    deployment = prefect.call("deployments/name/train/weekly")

    def trigger() -> str:
        body = {"parameters": {"root": str(root), "retries": 0}, "state": {"type": "SCHEDULED"}}
        return str(prefect.call(f"deployments/{deployment['id']}/create_flow_run", body)["id"])

    worker = prefect.croft("worker")
    first = trigger()
    until(lambda: prefect.state(first) in ENDED, "the first run")
    assert prefect.state(first) == "COMPLETED", prefect.log.read_text()[-3000:]
    assert aliases(root) == {"challenger": "1", "champion": "1"}
    shown = prefect.log.read_text()
    assert "pass  first version: no champion to compare with" in shown
    assert "croft version 1: challenger, champion" in shown

    (root / "wait").touch()
    (root / "seed").write_text("2")
    second = trigger()
    until(lambda: (root / "pid").is_file() and (root / "pid").read_text().strip(), "the slow stage")
    family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
    for process in family:  # as the machine's memory killer, or a container's end, would
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    until(lambda: not psutil.pid_exists(int((root / "pid").read_text())), "its stage to end")
    assert prefect.state(second) == "RUNNING"

    name = prefect.call(f"flow_runs/{second}")["name"]
    prefect.croft("worker")
    until(lambda: prefect.state(second) in ENDED, "the dead run")
    assert prefect.state(second) == "CRASHED"
    assert re.search(
        rf"flow run {name} \(train, started .*\) is marked as crashed: its process \d+ is gone", prefect.log.read_text()
    )
    (root / "wait").unlink()
    third = trigger()
    until(lambda: prefect.state(third) in ENDED, "the third run")
    assert prefect.state(third) == "COMPLETED", prefect.log.read_text()[-3000:]
    assert parents(root) == ["FINISHED", "KILLED", "FINISHED"]


def aliases(root: Path) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(root / ".croft" / "mlflow.db")) as database:
        return {
            alias: str(version)
            for alias, version in database.execute("SELECT alias, version FROM registered_model_aliases")
        }
