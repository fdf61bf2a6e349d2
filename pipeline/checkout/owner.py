"""Which process uses a checkout: a file beside it; what killed processes left is removed by the next one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.origin import CHECKOUTS, ended_here, process_tags
from pipeline.tables import read_json, write_json

KEPT = 3
"""How many checkouts of failed runs are kept, the latest."""


def claim(folder: Path, *, kept: bool = False) -> None:
    """Write that this process uses a checkout, or that it is kept as a failed run left it.

    Args:
        folder: of the checkout; it need not exist yet.
        kept: it outlives its process.
    """
    write_json({**process_tags(), "kept": kept}, _file(folder))


def forget(folder: Path) -> None:
    """Remove a checkout."""
    shutil.rmtree(folder, ignore_errors=True)
    _file(folder).unlink(missing_ok=True)  # last: a kill in between leaves the file, and the next process removes both


def clean(project: Path, place: Path = CHECKOUTS) -> list[Path]:
    """Remove the checkouts whose process on this machine is gone, and all but the last KEPT of those that are kept.

    Args:
        project: that they were made for.
        place: where they lie in it.
    Returns:
        The folders that were removed.
    """
    removed = dead(project, place)
    for folder in removed:
        forget(folder)
    return removed


def dead(project: Path, place: Path = CHECKOUTS) -> list[Path]:
    """What `clean` would remove."""
    files = sorted((project / place).glob("*.json"))  # names begin with the time
    owners = {file.with_suffix(""): _owner(file) for file in files}
    kept = [folder for folder, owner in owners.items() if owner.get("kept")]
    gone = [folder for folder, owner in owners.items() if not owner.get("kept") and ended_here(owner)]
    return [*gone, *kept[:-KEPT]]


def _file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _owner(file: Path) -> Mapping[str, Any]:
    try:
        content = read_json(file)
    except DataError:
        content = None
    return content if isinstance(content, dict) else {}
