"""A real Prefect server on a port of its own, commands of the environment against it, and its REST API."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

from pipeline.process.group import end_session

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0  # seconds; only reached when something is broken
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What the condition gives once it is true; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.1)
    return value


class Prefect:
    """The server, and processes that are ended with the test."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/api"
        self.log = folder / "log.txt"
        self.project = folder
        self.running: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT"))},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }

    def serve(self) -> None:
        """Start the server and wait until it answers."""
        self._start([str(Path(sys.executable).with_name("prefect")), "server", "start", "--no-ui"])
        until(self.healthy, "the server")

    def croft(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of ours in the project."""
        return self._start([sys.executable, "-m", "pipeline.cli", *arguments])

    def done(self, *arguments: str) -> str:
        """What a command of ours prints that has to succeed."""
        command = [sys.executable, "-m", "pipeline.cli", *arguments]
        ended = subprocess.run(
            command, cwd=self.project, env=self.environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert ended.returncode == 0, f"{arguments}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
        return ended.stdout

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.project, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(process)
        return process

    def call(self, path: str, body: object | None = None) -> Any:
        """The answer of the REST API: to a GET, or to a POST of a body."""
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

    def healthy(self) -> bool:
        with contextlib.suppress(urllib.error.URLError):
            return bool(self.call("health"))
        return False

    def start(self, deployment: str, **parameters: object) -> str:
        """Start a run of a deployment (flow/name); its id."""
        number = self.call(f"deployments/name/{deployment}")["id"]
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.call(f"deployments/{number}/create_flow_run", body)["id"])

    def state(self, run: str) -> str:
        return str(self.call(f"flow_runs/{run}")["state_type"])

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """The runs of a flow that are due, oldest first."""
        every = self.call("flow_runs/filter", {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_ASC"})
        return [run for run in every if not run["auto_scheduled"]]

    def end(self, run: str) -> str:
        """Wait for a run's end; its state, with the last words of the log where it did not complete."""
        until(lambda: self.state(run) in ENDED, "the end of a flow run")
        state = self.state(run)
        return state if state == "COMPLETED" else f"{state}: {self.log.read_text()[-6000:]}"


@pytest.fixture
def prefect(tmp_path: Path) -> Iterator[Prefect]:
    server = Prefect(tmp_path)
    yield server
    for process in reversed(server.running):
        end_session(process)
        process.wait(PATIENCE)  # or Python complains about a child that nobody has waited for


class Receiver(socketserver.ThreadingTCPServer):
    """Keeps the body of each POST."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Keep)
        self.bodies: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"


class Keep(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append({"type": self.headers["Content-Type"], **json.loads(body)})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()
