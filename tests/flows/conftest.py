"""Small DVC projects to run flows on, a Prefect API of their own, and a process that is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc_project import project  # noqa: F401
from local_api import local_api
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from pipeline.flows.server import LocalApi

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalApi]:
    """A server with an empty database, which this process's clients use."""
    with (
        local_api(tmp_path_factory.mktemp("prefect")) as api,
        temporary_settings({PREFECT_API_URL: api.url}),
    ):
        yield api


@pytest.fixture
def client(api: LocalApi) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="session")
def gone() -> dict[str, str]:
    """The tags of a process that is gone."""
    code = "import json; from pipeline.origin import process_tags; print(json.dumps(process_tags()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))
