"""Sources as the command line opens them."""

from __future__ import annotations

from pathlib import Path

from pipeline.sources import Source, SourceOptions, open_source


def open_with(path: Path, *, name: str = "", **options: object) -> Source:
    """`open_source` with options by keyword."""
    return open_source(path, SourceOptions(**options), name=name)  # type: ignore[arg-type]
