"""(f) `croft serve` in batches against one by one, and against LitServe with the same graph."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.encoding import _photograph
from benchmarks.load import Load, load
from pipeline.errors import DataError

Row = dict[str, Any]
CLIENTS = (1, 8, 32, 128)
AT = 32
"""Clients with which batches are compared with one by one."""
SECONDS = 3.0
OURS, ALONE, RIVAL = "croft serve", "croft serve --max-batch 1", "LitServe"
_SIZE = (227, 227)  # pixels of the JPEG that is sent: PACS


def serving(artifacts: Path, rounds: int) -> list[Row]:
    """Throughput and 99th percentile, the servers loaded in turn by clients on the same machine.

    Raises:
        DataError: there is no exported graph.
    """
    folder = artifacts / "export"
    if not (folder / "model.onnx").is_file():
        raise DataError(f"{folder}/model.onnx: no such file; run `croft run` first")
    croft = [sys.executable, "-m", "pipeline.cli", "serve", "--model", str(folder.resolve()), "--device", "cpu"]
    commands = {
        OURS: [*croft, "--port"],
        ALONE: [*croft, "--max-batch", "1", "--port"],
        RIVAL: [sys.executable, "-m", "benchmarks.litserve_rival", str(folder.resolve())],
    }
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        name, _ = _photograph(Path(scratch), 0, _SIZE)
        image = base64.b64encode((Path(scratch) / name).read_bytes()).decode()
        body = json.dumps({"images": [image]}).encode()
        urls = {server: stack.enter_context(_running(command)) for server, command in commands.items()}
        cases = [(clients, RIVAL) for clients in CLIENTS] + [(AT, ALONE)]
        return [_case(urls, body, clients, rival, rounds) for clients, rival in cases]


def _case(urls: dict[str, str], body: bytes, clients: int, rival: str, rounds: int) -> Row:
    found: dict[str, list[Load]] = {OURS: [], rival: []}
    for turn in range(rounds):
        for server in (OURS, rival) if turn % 2 else (rival, OURS):
            found[server].append(asyncio.run(load(urls[server], body, clients=clients, seconds=SECONDS)))
    pairs = list(zip(found[OURS], found[rival], strict=True))
    rates = [ours.rate / theirs.rate for ours, theirs in pairs]
    return {
        "clients": clients,
        "against": rival,
        "throughput, times": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "p99, times shorter": statistics.median(theirs.p99 / ours.p99 for ours, theirs in pairs),
        "images a second": statistics.median(one.rate for one in found[OURS]),
        "against it": statistics.median(one.rate for one in found[rival]),
        "p99, ms": 1000 * statistics.median(one.p99 for one in found[OURS]),
        "against it, ms": 1000 * statistics.median(one.p99 for one in found[rival]),
    }


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[str]:
    """The address of /predict of a server that has answered."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until = time.monotonic() + 120
        while not any(_answers(f"http://127.0.0.1:{port}/{path}") for path in ("readyz", "health")):
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError(f"{' '.join(command)}: does not answer")
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/predict"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310  (our own address)
            return True
    except OSError:
        return False
