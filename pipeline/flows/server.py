"""A Prefect API for the life of this process, started while other libraries are still being imported.

Prefect would start one itself, but only after this process has imported all of the server too: twice the time.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import PipelineError
from pipeline.storage import check_writable, explain_text
from pipeline.tracking.local import sqlite_uri

API_VARIABLE = "PREFECT_API_URL"
POOL = "croft"
"""The work pool of deployments and workers, where no other is named."""
HOME_VARIABLE = "PREFECT_HOME"
DATABASE_VARIABLE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
START_SECONDS = 120.0
_DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a first start migrates its database
    # The terminal belongs to the stages' own output; Prefect's log of the run is in its database.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_CLIENT_MAX_RETRIES": "3",  # 14 seconds for a server that restarts; Prefect's own 5 are a minute a request
}
_SERVER = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",  # this flow uses none
    "PREFECT__SERVER_EPHEMERAL": "1",  # these two are how Prefect itself starts its temporary server
    "PREFECT__SERVER_FINAL": "1",
}


class LocalApi:
    """An API server that is starting or running; made by `start_api`."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self._process, self.url, self.log = process, url, log

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Return when it responds.

        Raises:
            PipelineError: it has ended, or does not respond in time.
        """
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"{self.url}/health", timeout=seconds):
                return
        except (urllib.error.URLError, OSError) as error:
            ended = self._process.poll()
            state = f"ended with exit status {ended}" if ended is not None else f"does not respond ({error})"
            with contextlib.suppress(OSError):
                if line := explain_text(self.log.read_text(encoding="utf-8", errors="replace"), self.log.parent):
                    raise PipelineError(f"Prefect's local API {state}: {line}") from None
            raise PipelineError(f"Prefect's local API {state}; see its log, {self.log}") from None

    def stop(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._process.terminate()
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def start_api(root: Path) -> LocalApi | None:
    """Start a local API and name it in this process's environment, or None where `PREFECT_API_URL` names one.

    Its history is kept under `PREFECT_HOME`, `.croft/prefect` by default. It is ended when this process exits.

    Raises:
        OSError: nothing can be written there.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    home = Path(os.environ.setdefault(HOME_VARIABLE, str(root.resolve() / ".croft" / "prefect")))
    home.mkdir(parents=True, exist_ok=True)  # Prefect warns about a home whose parent is missing
    if "?" in str(home):  # Prefect's own URI of its database ends there
        os.environ.setdefault(DATABASE_VARIABLE, sqlite_uri(home.resolve() / "prefect.db", "aiosqlite"))
    if os.environ.get(API_VARIABLE, "").strip():
        return None
    os.environ.pop(API_VARIABLE, None)
    check_writable(home)
    log = home / "server.log"
    # A socket that already listens: no port can be taken meanwhile, and early requests wait instead of failing.
    with socket.create_server(("127.0.0.1", 0)) as listening, log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"),
                *("--fd", str(listening.fileno()), "--log-level", "error", "--lifespan", "on"),
            ],
            env={**os.environ, **_SERVER},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[listening.fileno()],
            start_new_session=True,  # Ctrl-C must reach the run only, which then reports its end to this server
        )
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
    os.environ[API_VARIABLE] = url
    _go_past_proxies(urlsplit(url).netloc)
    api = LocalApi(process, url, log)
    atexit.register(api.stop)  # before Prefect is imported, hence after Prefect has sent its last events
    return api


def _go_past_proxies(host: str) -> None:
    """Let this process and its children reach a host (name:port) without a proxy; other hosts keep theirs."""
    # Clients read the variable in lower case first; urllib, httpx (Prefect's) and websockets (its events) know ports.
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, [listed, host]))
