"""One server with the tiny model for all tests that do not stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from service import Service, service


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, write_tiny_model: Callable[..., Path]) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Service]:
    limits = ("--max-bytes", "300000", "--max-pixels", "100000", "--timeout", "2")
    with service(tiny, tmp_path_factory.mktemp("running"), *limits) as started:
        yield started


@pytest.fixture
def client(running: Service) -> Iterator[httpx.Client]:
    with running.client() as client:
        yield client
