"""What was measured, and by which run: MLflow runs of stages under one parent run, through the client API only.

Nothing here touches MLflow's fluent state (active run, current experiment), so that several runs may be open in one
process and a run never ends up as the child of another by accident.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from pipeline.errors import DataError, TrackingError
from pipeline.hashing import file_sha256
from pipeline.origin import alive, git_state, host, process_tags
from pipeline.tables import read_json, write_json

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PARENT_VARIABLE = "CROFT_PARENT_RUN_ID"  # MLflow's own MLFLOW_RUN_ID would make a child write into its parent
EXPERIMENT_VARIABLE = "CROFT_EXPERIMENT"
URI_VARIABLE = "MLFLOW_TRACKING_URI"
LOCK_FILE = "requirements.lock"

_NONE: Mapping[str, Any] = MappingProxyType({})
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # The default of 7 retries with a backoff of 2 keeps a stage waiting for minutes when the server is down.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_BATCH = 100  # parameters and tags per request; the server's limit
_METRICS_BATCH = 1000
_PARAM_CHARACTERS = 6000
_TAG_CHARACTERS = 8000
_DIGEST_CHARACTERS = 36


def tracking_uri(root: Path) -> str:
    """Where runs go: `MLFLOW_TRACKING_URI`, or a SQLite file under `<root>/.croft` by absolute path."""
    chosen = os.environ.get(URI_VARIABLE, "").strip()
    if not chosen:
        return f"sqlite:///{root.resolve().as_posix()}/.croft/mlflow.db"
    relative = re.fullmatch(r"sqlite:///(?!/)(.+)", chosen)  # would mean another file in every working directory
    return f"sqlite:///{root.resolve().as_posix()}/{relative[1]}" if relative else chosen


def shown_uri(uri: str) -> str:
    """The URI without user, password and query, fit for messages and files."""
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) if parts.netloc else uri


def connect(root: Path) -> MlflowClient:
    """A client for runs and the registry; nothing is sent yet.

    Raises:
        TrackingError: the URI is of no kind that MLflow knows, or the database cannot be opened.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)  # read by MLflow at import and at each request
    uri = tracking_uri(root)
    if uri.startswith("sqlite:////"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    # MLflow's own use of SQLAlchemy is deprecated there; a caller that turns warnings into errors cannot change it.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning), reported(uri):
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextlib.contextmanager
def reported(uri: str) -> Iterator[None]:
    """Turn what MLflow and its transports raise into one line that names the server without credentials."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, ConnectionError, TimeoutError, ImportError) as error:
        reason = " ".join(str(error).split()).replace(uri, shown_uri(uri))
        reason = re.sub(r"//[^/@\s]*@", "//", reason)[:300]
        raise TrackingError(
            f"{shown_uri(uri)}: tracking failed ({reason}); what was computed is kept: "
            f"check the server or {URI_VARIABLE}, then run this again"
        ) from None


def experiment_id(client: MlflowClient, root: Path) -> tuple[str, str]:
    """Name and id of the experiment, made when it is not there (and restored when it was deleted)."""
    from mlflow.exceptions import MlflowException

    name = os.environ.get(EXPERIMENT_VARIABLE, "").strip() or "croft"
    found = client.get_experiment_by_name(name)
    if found is None:
        # A tracking server decides itself where artifacts go; a database cannot.
        remote = client.tracking_uri.startswith(("http:", "https:", "databricks"))
        location = None if remote else (root.resolve() / ".croft" / "mlartifacts").as_uri()
        try:
            return name, str(client.create_experiment(name, artifact_location=location))
        except MlflowException:  # another process was first
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return name, str(found.experiment_id)


class StageRun:
    """One open MLflow run of a stage; made by `stage_run`."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id

    def log(
        self,
        *,
        params: Mapping[str, object] = _NONE,
        metrics: Mapping[str, float] = _NONE,
        tags: Mapping[str, str] = _NONE,
        artifacts: Sequence[Path] = (),
        datasets: Sequence[tuple[str, str, str]] = (),
        series: Mapping[str, Sequence[tuple[int, float]]] = _NONE,
    ) -> None:
        """Log in as few requests as the server allows; arguments as `record_stage`."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

        now = int(time.time() * 1000)
        flat = [Param(_key(key), value[:_PARAM_CHARACTERS]) for key, value in _flat(params)]
        points = [(key, 0, value) for key, value in metrics.items()]
        points += [(key, step, value) for key, values in series.items() for step, value in values]
        measured = [
            Metric(_key(key), float(value), now, step)
            for key, step, value in points
            if value is not None and math.isfinite(value)
        ]
        labels = [RunTag(key, str(value)[:_TAG_CHARACTERS]) for key, value in tags.items()]
        for part in _parts(flat, _BATCH):
            self.client.log_batch(self.run_id, params=part)
        for part in _parts(labels, _BATCH):
            self.client.log_batch(self.run_id, tags=part)
        for part in _parts(measured, _METRICS_BATCH):
            self.client.log_batch(self.run_id, metrics=part)
        inputs = [
            DatasetInput(
                Dataset(name, digest[:_DIGEST_CHARACTERS], "local", json.dumps({"uri": source})),
                [InputTag("mlflow.data.context", "stage input"), InputTag("croft.digest", digest)],
            )
            for name, digest, source in datasets
        ]
        if inputs:
            self.client.log_inputs(self.run_id, inputs)
        for path in artifacts:
            if path.is_dir():
                self.client.log_artifacts(self.run_id, str(path), artifact_path=path.name)
            else:
                self.client.log_artifact(self.run_id, str(path))


@contextlib.contextmanager
def stage_run(
    stage: str,
    *,
    started: float,
    params: Mapping[str, object],
    out: Path | None,
    tags: Mapping[str, str] = _NONE,
    root: Path | None = None,
) -> Iterator[StageRun]:
    """Open the run of a stage; when the block ends well, the run is FINISHED and `out` is written, otherwise FAILED.

    Args:
        stage: the stage's name, also the run's.
        started: when the stage began, in epoch seconds.
        params: the knobs that the stage read; nested mappings become dotted names.
        out: the identity file, artifacts/runs/<stage>.json; None where the caller keeps the run's id itself.
        tags: more tags.
        root: the project; the working directory by default.
    Raises:
        TrackingError: the server cannot be reached or refuses.
    """
    root = (root or Path.cwd()).resolve()
    client = connect(root)
    uri = client.tracking_uri
    commit, dirty = git_state(root)
    parent = os.environ.get(PARENT_VARIABLE, "").strip()
    labels = {
        "stage": stage,
        "git_commit": commit,
        "git_dirty": dirty,
        "lock_sha256": file_sha256(root / LOCK_FILE) if (root / LOCK_FILE).is_file() else "",
        "params_sha256": hashlib.sha256(json.dumps(dict(_flat(params)), sort_keys=True).encode()).hexdigest(),
        **process_tags(),
        **({"mlflow.parentRunId": parent} if parent else {}),
    }
    if commit:
        labels["mlflow.source.git.commit"] = commit
    with reported(uri):
        experiment, number = experiment_id(client, root)
        info = client.create_run(number, start_time=int(started * 1000), run_name=stage, tags=labels).info
    run = StageRun(client, info.run_id)
    try:
        with reported(uri):
            run.log(params=params, tags=tags)
            yield run
            client.set_terminated(run.run_id, "FINISHED")
        if out is not None:
            identity = {
                "run_id": run.run_id,
                "experiment": experiment,
                "experiment_id": number,
                "stage": stage,
                "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
                "git_commit": commit,
                "tracking_uri": shown_uri(uri),
            }
            write_json(identity, out)
    except BaseException as error:
        with contextlib.suppress(Exception):  # the first error is the one to report
            client.set_terminated(run.run_id, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


def record_stage(
    stage: str,
    *,
    started: float,
    params: Mapping[str, object],
    metrics: Mapping[str, float],
    out: Path | None,
    artifacts: Sequence[Path] = (),
    tags: Mapping[str, str] = _NONE,
    datasets: Sequence[tuple[str, str, str]] = (),
    series: Mapping[str, Sequence[tuple[int, float]]] = _NONE,
    root: Path | None = None,
) -> str:
    """Record a stage that has done its work as one finished run and write its identity file.

    Args:
        stage, started, params, out, tags, root: as `stage_run`.
        metrics: name to number; numbers that are not finite are left out.
        artifacts: small files or folders to keep with the run.
        datasets: (name, digest, source) of each input.
        series: metric name to (step, number) pairs.
    Returns:
        The run's id.
    Raises:
        TrackingError: the server cannot be reached or refuses; the run, where it was made, is FAILED.
    """
    with stage_run(stage, started=started, params=params, out=out, tags=tags, root=root) as run:
        run.log(metrics=metrics, artifacts=artifacts, datasets=datasets, series=series)
    return run.run_id


def record_children(
    parent: str, children: Sequence[tuple[str, Mapping[str, object], Mapping[str, float]]], *, root: Path | None = None
) -> None:
    """Record finished runs nested under a run, three requests each.

    Args:
        parent: the run's id.
        children: (name, parameters, metrics) of each; metrics that are not finite are left out.
        root: the project; the working directory by default.
    Raises:
        TrackingError: the server cannot be reached or refuses.
    """
    from mlflow.entities import Metric, Param

    client = connect(root or Path.cwd())
    with reported(client.tracking_uri):
        experiment = client.get_run(parent).info.experiment_id
        for name, params, metrics in children:
            now = int(time.time() * 1000)
            run_id = client.create_run(experiment, run_name=name, tags={"mlflow.parentRunId": parent}).info.run_id
            measured = [Metric(_key(k), float(v), now, 0) for k, v in metrics.items() if math.isfinite(v)]
            flat = [Param(_key(key), value[:_PARAM_CHARACTERS]) for key, value in _flat(params)]
            client.log_batch(run_id, metrics=measured, params=flat)
            client.set_terminated(run_id, "FINISHED")


def read_stage_run(path: Path) -> dict[str, str]:
    """The identity that a stage wrote.

    Raises:
        DataError: the file is missing or holds no run id.
    """
    identity = read_json(path)
    if not isinstance(identity, dict) or not identity.get("run_id"):
        raise DataError(f"{path}: holds no run id; run `dvc repro -f {path.stem}`")
    return identity


def open_parent(name: str, tags: Mapping[str, str] = _NONE, *, root: Path | None = None) -> str:
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
    run_id: str, status: str = "FINISHED", tags: Mapping[str, str] = _NONE, *, root: Path | None = None
) -> None:
    """Tag and end a parent run as FINISHED, FAILED or KILLED.

    Raises:
        TrackingError: the server cannot be reached or does not know the run.
    """
    client = connect(root or Path.cwd())
    with reported(client.tracking_uri):
        StageRun(client, run_id).log(tags=tags)
        client.set_terminated(run_id, status)


def close_stale_parents(*, root: Path | None = None) -> list[str]:
    """Mark as KILLED the open runs (parents and stages) of this host whose process is gone.

    Returns:
        The ids of the runs that were closed.
    Raises:
        TrackingError: the server cannot be reached or refuses.
    """
    root = (root or Path.cwd()).resolve()
    client = connect(root)
    closed = []
    with reported(client.tracking_uri):
        _, number = experiment_id(client, root)
        mine = f"attributes.status = 'RUNNING' and tags.`croft.host` = '{host()}'"
        for run in client.search_runs([number], filter_string=mine, max_results=1000):
            if not alive(run.data.tags.get("croft.pid", ""), run.data.tags.get("croft.process_started", "")):
                client.set_terminated(run.info.run_id, "KILLED")
                closed.append(str(run.info.run_id))
    return closed


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield f"{prefix}{key}", value
        else:
            yield f"{prefix}{key}", json.dumps(value, default=str)


def _key(name: str) -> str:
    return re.sub(r"[^\w\-. /:]", "_", name)[:250]  # what MLflow allows in a name


def _parts(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))
