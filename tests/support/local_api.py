"""Prefect's local API, as a command of ours starts it, for the length of a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.flows.server import API_VARIABLE, HOME_VARIABLE, LocalApi, start_api


@contextlib.contextmanager
def local_api(folder: Path) -> Iterator[LocalApi]:
    """One that answers, with an empty database in the folder; this process's environment is put back afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (API_VARIABLE, "no_proxy", "NO_PROXY"):
            patch.setenv(name, "")
        patch.setenv(HOME_VARIABLE, str(folder))
        api = start_api(folder)
        assert api is not None
        try:
            api.wait()
            yield api
        finally:
            api.stop()
