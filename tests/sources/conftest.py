"""Trees of small files that stand for images; a source never decodes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Writes files below a new folder, each holding its own path, and returns the folder."""

    def build(paths: Iterable[str], name: str = "given") -> Path:
        root = tmp_path / name
        for path in paths:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(path.encode())
        return root

    return build
