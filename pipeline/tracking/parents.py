"""The run above the stages of one pipeline run: opened, closed, and closed later where its process died."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING

from pipeline.origin import ended_here, git_state, process_tags
from pipeline.tracking.client import connect, experiment_id, reported
from pipeline.tracking.runs import EMPTY, StageRun

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient


def open_parent(name: str, tags: Mapping[str, str] = EMPTY, *, root: Path | None = None) -> str:
    """Open the run under which the stages of one pipeline run appear; pass its id on in `PARENT_VARIABLE`.

    Raises:
        TrackingError: the server cannot be reached or refuses.
    """
    root = (root or Path.cwd()).resolve()
    client = connect(root)
    commit, dirty = git_state(root)
    labels = {"croft.parent": "true", "git_commit": commit, "git_dirty": dirty, **process_tags(), **tags}
    with reported(client.tracking_uri):
        _, number = experiment_id(client, root)
        return str(client.create_run(number, run_name=name, tags=labels).info.run_id)


def close_parent(
    run_id: str, status: str = "FINISHED", tags: Mapping[str, str] = EMPTY, *, root: Path | None = None
) -> None:
    """Tag and end a parent run as FINISHED, FAILED or KILLED.

    Raises:
        TrackingError: the server cannot be reached or does not know the run.
    """
    client = connect(root or Path.cwd())
    with reported(client.tracking_uri):
        StageRun(client, run_id).log(tags=tags)
        client.set_terminated(run_id, status)


def was_abandoned(client: MlflowClient, run: Run) -> bool:
    """Whether a run is open although its process, on this host, is gone.

    Args:
        client: of the run's store.
        run: as it was read, however long ago.
    """
    if run.info.status != "RUNNING" or not ended_here(run.data.tags):
        return False
    # Its process may have ended the run, and then itself, after the run was read: now nobody changes it any more.
    return bool(client.get_run(run.info.run_id).info.status == "RUNNING")


def close_stale_parents(*, root: Path | None = None) -> list[str]:
    """Mark as KILLED the open runs (parents and stages) of this host whose process is gone.

    Returns:
        The ids of the runs that were closed.
    Raises:
        TrackingError: the server cannot be reached or refuses.
    """
    client = connect((root or Path.cwd()).resolve())
    closed = stale_runs(root=root)
    with reported(client.tracking_uri):
        for run_id in closed:
            client.set_terminated(run_id, "KILLED")
    return closed


def killed_sentence(run_id: str) -> str:
    """What to tell a person of a run that `close_stale_parents` has closed."""
    return f"MLflow run {run_id} is marked as killed: its process is gone"


def stale_runs(*, root: Path | None = None) -> list[str]:
    """Ids of the open runs (parents and stages) of this host whose process is gone.

    Raises:
        TrackingError: the server cannot be reached or refuses.
    """
    root = (root or Path.cwd()).resolve()
    client = connect(root)
    with reported(client.tracking_uri):
        _, number = experiment_id(client, root)
        open_here = f"attributes.status = 'RUNNING' and tags.`croft.host` = '{gethostname()}'"
        runs = client.search_runs([number], filter_string=open_here, max_results=1000)
        return [str(run.info.run_id) for run in runs if was_abandoned(client, run)]
