"""A real MLflow server on a port of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ports import free_port

PATIENCE = 300.0  # seconds; only reached when something is broken


@dataclass(frozen=True)
class Server:
    """host is "127.0.0.1:port", folder holds its database, its artifacts and its log."""

    host: str
    folder: Path
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[Server]:
    """A server with an empty store in a new folder."""
    folder.mkdir()
    server = start_mlflow(folder, free_port())
    try:
        yield server
    finally:
        server.kill()


def start_mlflow(folder: Path, port: int) -> Server:
    """Start a server on the store of this folder, and wait until it answers."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
        "--artifacts-destination",
        f"{folder}/artifacts",
    ]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    server = Server(f"127.0.0.1:{port}", folder, process)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"http://{server.host}/health", timeout=2):
                return server
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                server.kill()
                pytest.fail((folder / "log").read_text()[-2000:])
            time.sleep(0.3)
