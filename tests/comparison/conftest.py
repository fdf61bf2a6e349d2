"""Small worlds for hand-made tables, and the tiny model of tests/serving for versions of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from small_worlds import table_of  # noqa: F401


@pytest.fixture(scope="session")
def write_tiny_model() -> Callable[..., Path]:
    path = Path(__file__).parents[1] / "serving" / "tiny_model.py"
    spec = importlib.util.spec_from_file_location("tiny_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_tiny_model
