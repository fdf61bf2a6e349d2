"""A page in a real Chromium without a window: what it loads, what it complains about, how wide it is."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

COMMAND = shutil.which("chromium") or shutil.which("chromium-browser") or ""
needs_chromium = pytest.mark.skipif(not COMMAND, reason="Chromium is not installed")
PATIENCE = 60.0  # seconds; only reached when something is broken
_COMPLAINTS = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}


@dataclass
class Tab:
    """One tab, driven over Chromium's own debugging protocol.

    Attributes:
        requests: addresses that the page asked for, data: URLs left out.
        complaints: exceptions, and what the page or the browser wrote to the console.
    """

    socket: ClientConnection
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _loaded: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run a command of the protocol; what happens meanwhile is noted."""
        number = next(self._numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := self._next()).get("id") != number:
            pass
        assert "error" not in message, message["error"]
        result: dict[str, Any] = message["result"]
        return result

    def open(self, address: str, *, width: int, height: int = 900) -> None:
        """Load a page in a window of that many pixels, and wait until it is there."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        before = self._loaded
        self.call("Page.navigate", url=address)
        while self._loaded == before:
            self._next()

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(PATIENCE))
        method, parameters = message.get("method", ""), message.get("params", {})
        if method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith("data:"):
            self.requests.append(parameters["request"]["url"])
        elif method in _COMPLAINTS:
            self.complaints.append(json.dumps(parameters))
        elif method == "Page.loadEventFired":
            self._loaded += 1
        return message


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Tab]:
    """A new tab of a browser with an empty profile in `folder`."""
    folder.mkdir()
    arguments = ["--headless=new", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
    arguments += ["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    process = subprocess.Popen(
        [COMMAND, *arguments, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = _port(folder / "DevToolsActivePort", process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        with connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            yield Tab(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, IndexError, ValueError):
            return int(file.read_text().splitlines()[0])
        time.sleep(0.1)
    pytest.fail(f"Chromium did not start: exit status {process.poll()}")
