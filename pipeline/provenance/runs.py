"""Runs as a table: when, in which state, on which data, and what came of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.dvc_runner.cache import Cache, open_cache
from pipeline.dvc_runner.lock import Lock, Records
from pipeline.errors import PipelineError
from pipeline.params.choice import AUTO
from pipeline.provenance.inputs import Data, data_of
from pipeline.registry.records import Index, all_made
from pipeline.registry.versions import open_registry
from pipeline.tables import MEAN
from pipeline.tracking.client import reported
from pipeline.tracking.pages import Listed, known_run, runs_newest_first
from pipeline.tracking.versions import Registered, registered_versions, stage_runs
from pipeline.versioning.names import Reference
from pipeline.versioning.recorded import Named
from pipeline.versioning.resolve import resolve

if TYPE_CHECKING:
    from pipeline.tracking.client import Client

Read = Sequence[Mapping[str, Data]]


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
    is_wanted = _filter(root, data, named)
    with reported(uri):
        versions = {item.run_id: item for item in registered_versions(client, name)}
        rows = (_row(client, run, read, versions) for run in runs_newest_first(client))
        return list(itertools.islice((row for row in rows if is_wanted(row.data_md5)), limit))


def _filter(root: Path, data: Reference | None, named: Named) -> Callable[[str], bool]:
    """Whether a run on this content has a row."""
    if data is None:
        return lambda md5: True
    if data.version:
        wanted = resolve(root, data).pointer.md5
        return lambda md5: md5 == wanted
    return lambda md5: bool(md5) and data.name in (name for name, _ in named.of(md5))


def _read_by(root: Path) -> tuple[Read, Named]:
    """The data set that runs read, by run id: what a run itself read, then by what other runs made of it.

    The second is a guess where two runs made equal bytes of other data, so it counts only where the first is silent.
    """
    named = Named(root)
    try:
        cache: Cache = open_cache(root)
    except PipelineError:
        return (), named
    records = Records(root, cache)
    own = {run_id: data_of(Lock((entry,)), named) for run_id, entry in Index(records, cache).runs().items()}
    guessed: dict[str, Data] = {}
    for made in all_made(records, cache):
        if data := data_of(made.lock, named):
            guessed.update(dict.fromkeys(made.ids.values(), data))
    return ({run_id: data for run_id, data in own.items() if data}, guessed), named


def _row(client: Client, run: Listed, read: Read, versions: Mapping[str, Registered]) -> Row:
    tags = run.tags
    stages = stage_runs(tags) or ({tags["stage"]: run.run_id} if "stage" in tags else {})
    version = versions.get(stages.get("register", "none"))
    stages = {**(version.runs if version else {}), **stages}
    data = next((known[run_id] for known in read for run_id in stages.values() if run_id in known), None)
    method, accuracy, auroc = _measured(known_run(client, stages.get("evaluate", "")))
    return Row(
        run_id=run.run_id,
        name=run.name,
        started=run.started,
        state=run.state,
        commit=tags.get("git_commit", ""),
        dirty=tags.get("git_dirty") == "true",
        data=str(data) if data else "",
        data_md5=data.md5 if data else "",
        method=method,
        accuracy=accuracy,
        auroc=auroc,
        version=version.number if version else "",
    )


def _measured(run: Listed | None) -> tuple[str, float | None, float | None]:
    """Method, accuracy and AUROC of an evaluation."""
    if run is None:
        return "", None, None
    chosen, named = run.tags.get("chosen.method", ""), run.params.get("export.method", AUTO)
    method = chosen if named == AUTO else named
    return method, run.metrics.get(f"{method}.{MEAN}.accuracy"), run.metrics.get(f"{method}.{MEAN}.auroc")
