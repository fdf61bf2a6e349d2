"""Every move of the alias champion."""

from __future__ import annotations

from pathlib import Path

from pipeline.registry.journal import Entry
from pipeline.registry.settled import settled
from pipeline.registry.versions import open_registry
from pipeline.tracking.client import reported


def history(name: str, *, root: Path | None = None) -> tuple[Entry, ...]:
    """The journal, oldest entry first, after what a kill left is finished and what other hands did is recorded.

    Args:
        name: of the registered model.
        root: the project; the working directory by default.
    Raises:
        TrackingError: the server cannot be reached, or the model does not exist.
    """
    client, uri = open_registry(root)
    with reported(uri):
        return settled(client, name).entries
