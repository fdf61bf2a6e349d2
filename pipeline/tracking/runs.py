"""Runs of stages: opened, logged in few requests, finished or failed, and named by an identity file."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
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

from pipeline.origin import git_state, process_tags
from pipeline.tracking.client import connect, experiment_id, reported, shown_uri
from pipeline.tracking.environment import BINARY_TAG, LOCK_TAG, PYTHON_TAG, environment_tags
from pipeline.tracking.identity import Identity, write_identity
from pipeline.tracking.store import server_address, store_id

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PARENT_VARIABLE = "CROFT_PARENT_RUN_ID"  # MLflow's own MLFLOW_RUN_ID would make a child write into its parent

EMPTY: Mapping[str, Any] = MappingProxyType({})
_BATCH = 100  # parameters and tags per request; the server's limit
_METRICS_BATCH = 800  # with those, the 1000 values that the server takes in one request
_PARAM_CHARACTERS = 6000
_TAG_CHARACTERS = 8000
_DIGEST_CHARACTERS = 36


class StageRun:
    """One open MLflow run of a stage; made by `stage_run`.

    Attributes:
        facts: params, metrics (the last of a series) and inputs (name to digest) as logged so far, names as in MLflow.
    """

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        self.facts: dict[str, dict[str, Any]] = {"params": {}, "metrics": {}, "inputs": {}}

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
            tags: name to text.
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
        kinds = (_batches(measured, _METRICS_BATCH), _batches(flat, _BATCH), _batches(labels, _BATCH))
        for batches in itertools.zip_longest(*kinds, fillvalue=()):
            self.client.log_batch(self.run_id, *batches)
        inputs = [
            DatasetInput(
                Dataset(name, digest[:_DIGEST_CHARACTERS], "local", json.dumps({"uri": source})),
                [InputTag("mlflow.data.context", "stage input"), InputTag("croft.digest", digest)],
            )
            for name, digest, source in datasets
        ]
        if inputs:
            self.client.log_inputs(self.run_id, inputs)
        self.facts["params"].update((param.key, param.value) for param in flat)
        self.facts["metrics"].update(
            (metric.key, metric.value) for metric in sorted(measured, key=lambda metric: metric.step)
        )
        self.facts["inputs"].update((name, digest) for name, digest, _ in datasets)
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
        **environment_tags(root),
        "params_sha256": hashlib.sha256(json.dumps(dict(_flat(params)), sort_keys=True).encode()).hexdigest(),
        **process_tags(),
        **({"mlflow.parentRunId": parent} if parent else {}),
    }
    if commit:
        labels["mlflow.source.git.commit"] = commit
    with reported(uri):
        experiment, number = experiment_id(client, root)
        store = store_id(client, number)
        info = client.create_run(number, start_time=int(started * 1000), run_name=stage, tags=labels).info
    run = StageRun(client, info.run_id)
    try:
        with reported(uri):
            run.log(params=params, tags=tags)
            yield run
            client.set_terminated(run.run_id, "FINISHED")
        if out is not None:
            identity = Identity(
                run_id=run.run_id,
                stage=stage,
                experiment=experiment,
                experiment_id=number,
                store=store,
                server=server_address(shown_uri(uri)),
                started=datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
                git_commit=commit,
                git_dirty=dirty,
                lock_sha256=labels[LOCK_TAG],
                python=labels[PYTHON_TAG],
                python_sha256=labels[BINARY_TAG],
                params_sha256=labels["params_sha256"],
                **run.facts,
            )
            write_identity(identity, out)
    except BaseException as error:
        with contextlib.suppress(Exception):  # the first error is the one to report
            client.set_terminated(run.run_id, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


def record_children(parent: str, children: Sequence[tuple[str, Mapping[str, object], Mapping[str, float]]]) -> None:
    """Record finished runs nested under a run of the working directory's project, three requests each.

    Args:
        parent: the run's id.
        children: (name, parameters, metrics) of each; metrics that are not finite are left out.
    Raises:
        TrackingError: the server cannot be reached or refuses.
    """
    client = connect(Path.cwd())
    with reported(client.tracking_uri):
        experiment = client.get_run(parent).info.experiment_id
        for name, params, metrics in children:
            run_id = client.create_run(experiment, run_name=name, tags={"mlflow.parentRunId": parent}).info.run_id
            StageRun(client, run_id).log(params=params, metrics=metrics)
            client.set_terminated(run_id, "FINISHED")


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
