"""Small files that were logged with a run, read back from whatever keeps them."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def logged_files(client: MlflowClient, run_id: str, folder: str, *, most_bytes: int = 20_000_000) -> dict[str, bytes]:
    """The files of a folder that was logged with a run, by name.

    Args:
        client: of the store.
        run_id: of the run.
        folder: its name among the run's artifacts.
        most_bytes: larger files are left out.
    Returns:
        {} where the store has no such run or folder.
    """
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch, contextlib.suppress(MlflowException, OSError):
        found = Path(client.download_artifacts(run_id, folder, scratch))
        files = [file for file in sorted(found.glob("*")) if file.is_file() and file.stat().st_size <= most_bytes]
        return {file.name: file.read_bytes() for file in files}
    return {}
