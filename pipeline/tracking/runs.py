"""Runs of stages: opened, logged in few requests, finished or failed, and named by an identity file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.hashing import file_sha256
from pipeline.origin import git_state, process_tags
from pipeline.tables import read_json, write_json
from pipeline.tracking.client import connect, experiment_id, reported, shown_uri

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PARENT_VARIABLE = "CROFT_PARENT_RUN_ID"  # MLflow's own MLFLOW_RUN_ID would make a child write into its parent
LOCK_FILE = "requirements.lock"

EMPTY: Mapping[str, Any] = MappingProxyType({})
_BATCH = 100  # parameters and tags per request; the server's limit
_METRICS_BATCH = 1000
_PARAM_CHARACTERS = 6000
_TAG_CHARACTERS = 8000
_DIGEST_CHARACTERS = 36


class StageRun:
    """One open MLflow run of a stage; made by `stage_run`."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id

    def log(
        self,
        *,
        params: Mapping[str, object] = EMPTY,
        metrics: Mapping[str, float] = EMPTY,
        tags: Mapping[str, str] = EMPTY,
        artifacts: Sequence[Path] = (),
        datasets: Sequence[tuple[str, str, str]] = (),
        series: Mapping[str, Sequence[tuple[int, float]]] = EMPTY,
    ) -> None:
        """Log in as few requests as the server allows.

        Args:
            params: nested mappings become dotted names.
            metrics: name to number; numbers that are not finite are left out.
            tags: more tags.
            artifacts: small files or folders to keep with the run.
            datasets: (name, digest, source) of each input.
            series: metric name to (step, number) pairs.
        """
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
        for batch in _batches(flat, _BATCH):
            self.client.log_batch(self.run_id, params=batch)
        for batch in _batches(labels, _BATCH):
            self.client.log_batch(self.run_id, tags=batch)
        for batch in _batches(measured, _METRICS_BATCH):
            self.client.log_batch(self.run_id, metrics=batch)
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
    tags: Mapping[str, str] = EMPTY,
    root: Path | None = None,
) -> Iterator[StageRun]:
    """Open the run of a stage; if the block succeeds, the run is FINISHED and `out` is written, otherwise it is FAILED.

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
        raise DataError(f"{path}: no run id in this file; run `dvc repro -f {path.stem}`")
    return identity


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


def _batches(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))
