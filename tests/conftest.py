"""Shared by every test: nothing is sent anywhere, and torch leaves the second core to the other test worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

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
