"""`croft serve`: what to serve, from the command line."""

from __future__ import annotations

from pathlib import Path

from pipeline import telemetry
from pipeline.params import load_params
from pipeline.service.following import Fixed, Registry
from pipeline.service.model import folder_source
from pipeline.service.run import serve
from pipeline.service.settings import Settings
from pipeline.service.token import read_token

_NAME = "croft"


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
    """Serve a folder, a version or an alias.

    Raises:
        CroftError: an option is wrong, the address is not free, or the model cannot be loaded.
    """
    telemetry.disable()
    settings = Settings(max_batch, max_delay_ms / 1000, queue, timeout, max_bytes, max_pixels, poll=poll)
    token = read_token(token_file)
    folder = Path(model)
    if folder.is_dir():
        origin: Fixed | Registry = Fixed(folder_source(folder, _NAME))
    else:
        origin = Registry(load_params().register_.model, model, Path.cwd())
    serve(origin, settings, host=host, port=port, device=device, threads=threads, token=token, log_to=log_to)
