"""The built-in digits, drawn once for this folder's tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pipeline.builtin.digits.write import write

    out = tmp_path_factory.mktemp("builtin") / "digits"
    write(out)
    return out
