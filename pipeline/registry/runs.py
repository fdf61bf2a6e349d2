"""The runs behind a version: from the present store, or from the files that runs of another store left."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.tracking.client import existing
from pipeline.tracking.identity import Identity, read_identity

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

RUNS = Path("artifacts/runs")
UNKNOWN = "not in this store"


def describe(client: MlflowClient, run_id: str) -> dict[str, Any] | None:
    """A run of the present store: run_id, status, started (epoch seconds), git_commit, git_dirty, params, metrics and
    inputs (name to content hash); None if the store does not have it."""
    run = existing(lambda: client.get_run(run_id))
    if run is None:
        return None
    digests = {
        item.dataset.name: next((tag.value for tag in item.tags if tag.key == "croft.digest"), item.dataset.digest)
        for item in (run.inputs.dataset_inputs if run.inputs else ())
    }
    return {
        "run_id": run_id,
        "status": run.info.status,
        "started": run.info.start_time / 1000.0,
        "git_commit": run.data.tags.get("git_commit", ""),
        "git_dirty": run.data.tags.get("git_dirty", ""),
        "params": dict(run.data.params),
        "metrics": dict(run.data.metrics),
        "inputs": digests,
    }


def describe_identity(identity: Identity) -> dict[str, Any]:
    """The same of a run that another store holds, with that store's id and, for a server, its address."""
    with contextlib.suppress(ValueError):
        started = datetime.fromisoformat(identity.started).timestamp()
        return {**_facts(identity), "started": started}
    return _facts(identity)


def _facts(identity: Identity) -> dict[str, Any]:
    return {
        "run_id": identity.run_id,
        "status": "FINISHED",  # only then is the file written
        "store": identity.store,
        "server": identity.server,
        "git_commit": identity.git_commit,
        "git_dirty": identity.git_dirty,
        "params": dict(identity.params),
        "metrics": dict(identity.metrics),
        "inputs": dict(identity.inputs),
    }


def kept_identities(client: MlflowClient, run_id: str) -> dict[str, Identity]:
    """The identity files that the register stage logged with its run, by run id; {} where there are none."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch, contextlib.suppress(MlflowException, OSError):
        return read_identities(Path(client.download_artifacts(run_id, RUNS.name, scratch)))
    return {}


def read_identities(folder: Path) -> dict[str, Identity]:
    """The identity files of a folder by run id; unreadable ones are skipped."""
    identities = {}
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(DataError):
            identity = read_identity(path)
            identities[identity.run_id] = identity
    return identities
