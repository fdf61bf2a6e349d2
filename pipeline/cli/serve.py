"""`croft serve`: what to serve, from the command line."""

from __future__ import annotations

from pathlib import Path

from pipeline import telemetry
from pipeline.cli.model import choose_model
from pipeline.service.following import Fixed, Registry
from pipeline.service.model import Source
from pipeline.service.run import serve
from pipeline.service.settings import Settings
from pipeline.service.token import read_token


def serve_model(
    model: str,
    *,
    host: str,
    port: int,
    device: str,
    threads: int | None,
    max_batch: int,
    max_delay_ms: float,
    queue: int,
    timeout: float,
    max_bytes: int,
    max_pixels: int,
    token_file: Path | None,
    log_to: Path | None,
    poll: float,
) -> None:
    """Serve exported files, a version or an alias.

    Raises:
        CroftError: an option is wrong, the address is not free, or the model cannot be loaded.
    """
    telemetry.disable()
    settings = Settings(max_batch, max_delay_ms / 1000, queue, timeout, max_bytes, max_pixels, poll=poll)
    token = read_token(token_file)
    chosen = choose_model(model)
    origin: Fixed | Registry = Fixed(Source(chosen.name, chosen.version, chosen.graph, chosen.card))
    if chosen.registered:  # an alias is looked up again and again
        origin = Registry(chosen.name, model, Path.cwd())
    serve(origin, settings, host=host, port=port, device=device, threads=threads, token=token, log_to=log_to)
