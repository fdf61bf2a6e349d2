"""Runs as a table: when, in which state, on which data, and what came of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.dvc_runner.cache import Cache, open_cache
from pipeline.dvc_runner.lock import Records
from pipeline.errors import PipelineError
from pipeline.params.choice import AUTO
from pipeline.provenance.inputs import Data, data_of
from pipeline.provenance.records import all_made
from pipeline.provenance.trace import model_versions
from pipeline.registry.versions import open_registry
from pipeline.tables import MEAN
from pipeline.tracking.client import existing, reported
from pipeline.tracking.pages import runs_newest_first
from pipeline.versioning.names import Reference
from pipeline.versioning.recorded import Named
from pipeline.versioning.resolve import resolve

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient


@dataclass(frozen=True)
class Row:
    """One run of `croft run`, or of a stage that ran alone.

    Attributes:
        run_id: in MLflow.
        name: train for `croft run`, else of the stage.
        started: UTC, ISO 8601.
        state: RUNNING, FINISHED, FAILED or KILLED.
        commit: of the code; "" if it is not known.
        dirty: whether tracked files differed from it.
        data: what was read, as NAME@NUMBER, or its path where that is no version; "" if it is not known.
        data_md5: DVC's hash of it.
        method: that was deployed.
        accuracy, auroc: of the method, means over held-out domains, 0 to 1; None where nothing was evaluated.
        version: of the model that came of it, "" for none.
    """

    run_id: str
    name: str
    started: str
    state: str
    commit: str = ""
    dirty: bool = False
    data: str = ""
    data_md5: str = ""
    method: str = ""
    accuracy: float | None = None
    auroc: float | None = None
    version: str = ""


def list_runs(root: Path, name: str, *, data: Reference | None = None, limit: int = 20) -> list[Row]:
    """The last runs, newest first; runs below another one, such as the stages of `croft run`, have no row.

    Args:
        root: the project.
        name: of the registered model.
        data: only runs on this version of a data set; without a version, on any version of it.
        limit: the most rows; runs are read in pages until there are so many.
    Raises:
        DataError: there is no such version.
        TrackingError: the server cannot be reached.
    """
    client, uri = open_registry(root)
    read, named = _read_by(root)
    if data is not None and data.version:
        wanted = resolve(root, data).pointer.md5
    with reported(uri):
        versions = {item.run_id: str(item.version) for item in model_versions(client, name)}
        rows = (_row(client, run, read, versions) for run in runs_newest_first(client, root))
        if data is not None:
            rows = (
                row
                for row in rows
                if (row.data_md5 == wanted if data.version else _is_of(row.data_md5, data.name, named))
            )
        return list(itertools.islice(rows, limit))


def _is_of(md5: str, name: str, named: Named) -> bool:
    return bool(md5) and name in (known for known, _ in named.of(md5, name))


def _read_by(root: Path) -> tuple[Mapping[str, Data], Named]:
    """The data set that each run read, directly or by what other runs made of it, by run id."""
    named = Named(root)
    try:
        cache: Cache = open_cache(root)
    except PipelineError:
        return {}, named
    read: dict[str, Data] = {}
    for made in all_made(Records(root, cache), cache):
        if data := data_of(made.lock, named):
            read.update(dict.fromkeys(made.ids.values(), data))
    return read, named


def _row(client: MlflowClient, run: Run, read: Mapping[str, Data], versions: Mapping[str, str]) -> Row:
    tags = run.data.tags
    stages = dict(_stages(tags)) or ({tags["stage"]: run.info.run_id} if "stage" in tags else {})
    data = next((read[run_id] for run_id in stages.values() if run_id in read), None)
    method, accuracy, auroc = _measured(client, stages.get("evaluate", ""))
    return Row(
        run_id=run.info.run_id,
        name=str(run.info.run_name),
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        state=run.info.status,
        commit=tags.get("git_commit", ""),
        dirty=tags.get("git_dirty") == "true",
        data=str(data) if data else "",
        data_md5=data.md5 if data else "",
        method=method,
        accuracy=accuracy,
        auroc=auroc,
        version=versions.get(stages.get("register", ""), ""),
    )


def _stages(tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in tags.items():
        if key.startswith("stage.") and key.endswith(".run_id"):
            yield key.removeprefix("stage.").removesuffix(".run_id"), value


def _measured(client: MlflowClient, run_id: str) -> tuple[str, float | None, float | None]:
    """Method, accuracy and AUROC of an evaluation that the store has."""
    run = existing(lambda: client.get_run(run_id)) if run_id else None
    if run is None:
        return "", None, None
    chosen, named = run.data.tags.get("chosen.method", ""), run.data.params.get("export.method", AUTO)
    method = chosen if named == AUTO else named
    metrics = run.data.metrics
    return method, metrics.get(f"{method}.{MEAN}.accuracy"), metrics.get(f"{method}.{MEAN}.auroc")
