"""`croft serve` in a process of its own, on a free port."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds; only reached when something is broken


@dataclass
class Service:
    """url has no slash at its end; errors is the file of its standard error."""

    url: str
    line: str
    process: subprocess.Popen[str]
    errors: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)  # type: ignore[arg-type]

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        with self.client() as client:
            text = client.get("/metrics").text
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


@contextlib.contextmanager
def service(
    model: str | Path, folder: Path, *options: str, port: int = 0, environment: dict[str, str] | None = None
) -> Iterator[Service]:
    """Starts it and waits for its line; `folder` is its working directory."""
    command = [sys.executable, "-m", "pipeline.cli", "serve", "--model", str(model), "--port", str(port)]
    command += ["--threads", "1", "--device", "cpu", *options]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    errors = folder / "serve-errors"
    with errors.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=file, text=True, start_new_session=True
        )
    try:
        line = _first_line(process, errors)
        yield Service(line.partition(": ")[0], line, process, errors)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def _first_line(process: subprocess.Popen[str], errors: Path) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if ready.select(0.5):
                line = process.stdout.readline().strip()
                if line:
                    return line
                break
    process.wait(30)
    pytest.fail(f"croft serve did not start: {errors.read_text()[-2000:]}")


def png(colour: tuple[int, int, int], size: tuple[int, int] = (12, 9)) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


RED, BLACK, BLUE = png((255, 0, 0)), png((0, 0, 0)), png((0, 51, 255))
