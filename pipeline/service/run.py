"""One server from its first line to its last: the socket, the parts, uvicorn, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from pipeline.errors import CroftError, ParamsError
from pipeline.service.app import make_app
from pipeline.service.bodies import Bodies
from pipeline.service.connections import limited
from pipeline.service.context import Context
from pipeline.service.deciding import Deciding
from pipeline.service.following import Fixed, Registry, Served
from pipeline.service.metrics import Metrics
from pipeline.service.model import Model, Source
from pipeline.service.records import PredictionLog
from pipeline.service.settings import Settings
from pipeline.storage import explain

_BACKLOG = 2048
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _Server(uvicorn.Server):
    """uvicorn's server, which ends with status 0 when a signal stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT  # a second Ctrl-C does not wait
        self.should_exit = True


def serve(
    origin: Registry | Fixed,
    settings: Settings,
    *,
    host: str,
    port: int,
    device: str,
    threads: int | None,
    token: str,
    log_to: Path | None,
) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is in flight and write the rest of the log.

    Args:
        origin: which version to serve.
        settings: limits.
        host, port: to listen on; port 0 takes a free one.
        device, threads: of ONNX Runtime.
        token: that requests must carry; "" for none.
        log_to: folder of the log of predictions; None for none.
    Raises:
        CroftError: the address is not free, or the first version cannot be loaded.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    metrics = Metrics()
    listening = _listen(host, port)

    def load(source: Source) -> Model:
        return Model(source, settings, device=device, threads=threads)

    served = Served(origin, load, metrics, settings.poll)
    metrics.queue_from(lambda: served.current.batcher.admitted if served.ready else 0)
    log = _open_log(log_to, metrics) if log_to else None
    context = Context(settings, served, metrics, Bodies(settings), Deciding(settings, metrics), log)
    failed: list[BaseException] = []

    def started(error: BaseException | None) -> None:
        if error is None:
            print(_line(listening, served.current, token), flush=True)
        else:
            failed.append(error)
            server.should_exit = True

    config = uvicorn.Config(
        make_app(context, token, started),
        http=limited(settings.timeout),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=max(5, int(settings.timeout)),
        timeout_graceful_shutdown=int(2 * settings.timeout) + 1,
        backlog=_BACKLOG,
    )
    server = _Server(config)
    with listening:
        _run(server, listening)
    if failed:
        error = failed[0]
        raise error if isinstance(error, CroftError) else CroftError(f"the model cannot be loaded: {error}")


def _run(server: _Server, listening: socket.socket) -> None:
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listening]))


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ParamsError(f"--host {host} --port {port}: {reason}; choose another address") from None
    return listening


def _open_log(folder: Path, metrics: Metrics) -> PredictionLog:
    try:
        return PredictionLog(folder, metrics)
    except OSError as error:
        reason = explain(error, folder) or f"{folder}: {error.strerror}; choose another folder"
        raise ParamsError(f"--log-to: {reason}") from None


def _line(listening: socket.socket, model: Model, token: str) -> str:
    address: Any = listening.getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    source = model.source
    alias = f" ({source.alias})" if source.alias else ""
    warning = (
        "" if token or address[0] in _LOOPBACK else "; no token is set: anyone who reaches this address may use it"
    )
    return f"http://{host}:{address[1]}: {source.name} version {source.version}{alias} on {model.device}{warning}"
