"""Shared by every test: nothing is sent anywhere, and torch leaves the second core to the other test worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.update(
    DO_NOT_TRACK="1",
    DVC_NO_ANALYTICS="1",
    MLFLOW_DISABLE_TELEMETRY="true",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    GX_ANALYTICS_ENABLED="false",
    OMP_NUM_THREADS="1",
    TQDM_DISABLE="1",
)


@pytest.fixture
def without_heic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where the extra `heic` is not installed: the import of its decoder fails."""
    from pipeline.images import readable

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    readable.cache_clear()
    yield
    readable.cache_clear()


@pytest.fixture(scope="session")
def write_tiny_model() -> Callable[..., Path]:
    """Writes a model that is exported in a second; imported here, since it needs onnx."""
    from tiny_model import write_tiny_model

    return write_tiny_model
