"""One model version, all the way down: runs, DVC's hashes, data versions, weights, environment, commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.dvc_runner.cache import open_cache
from pipeline.dvc_runner.lock import Lock, Records
from pipeline.errors import PipelineError
from pipeline.provenance.inputs import inputs_of
from pipeline.registry.lineage import lineage
from pipeline.registry.records import Index, read_made, stage_of
from pipeline.registry.versions import open_registry
from pipeline.tracking.client import reported
from pipeline.tracking.environment import BINARY_TAG, LOCK_TAG, PYTHON_TAG, environment_id
from pipeline.tracking.identity import Identity
from pipeline.tracking.pages import known_run
from pipeline.tracking.versions import Registered, registered_versions
from pipeline.versioning.recorded import Named

if TYPE_CHECKING:
    from pipeline.tracking.client import Client


def trace(name: str, version: str | None = None, *, root: Path | None = None) -> dict[str, Any]:
    """What `pipeline.registry.lineage.lineage` says, and what DVC recorded of it.

    Args:
        name: of the registered model.
        version: number or alias; the champion by default.
        root: the project; the working directory by default.
    Returns:
        The facts of `lineage`, in which each stage has `first` besides (the version that its run was executed for; ""
        if another store knows), and
        record: by stage deps, outs (path to DVC's MD5) and params; None where nothing recorded it.
        data: path, md5 and versions ((name, number) of each with these bytes). weights: path, md5 and sha256.
        environment: id, lock_sha256, python, python_sha256. commit: id and dirty.
    Raises:
        TrackingError: the server cannot be reached, or the model or version does not exist.
        DataError: a dvc.lock cannot be read.
    """
    return traced(name, version, root=root)[0]


def traced(name: str, version: str | None = None, *, root: Path | None = None) -> tuple[dict[str, Any], Lock | None]:
    """The same, and DVC's record itself."""
    root = (root or Path.cwd()).resolve()
    facts = lineage(name, version, root=root)
    ids = {stage: str(run["run_id"]) for stage, run in facts["stages"].items()}
    client, uri = open_registry(root)
    with reported(uri):
        firsts = _firsts(registered_versions(client, name), ids, facts)
        for stage, run in facts["stages"].items():
            run["first"] = firsts.get(stage, "")
        lock, of_run = _recorded(root, client, facts, ids)
        tags = _tags_of_run(client, facts, of_run)
    inputs = inputs_of(lock, Named(root)) if lock else None
    weights = inputs.weights if inputs else None
    digest = facts["tags"].get("sha256.weights", "")
    environment = {key: tags.get(key, "") for key in (LOCK_TAG, PYTHON_TAG, BINARY_TAG)}
    whole = {
        **facts,
        "record": {stage_of(entry): _entry(entry) for entry in lock.in_order} if lock else None,
        "data": asdict(inputs.data) if inputs and inputs.data else None,
        "weights": {"path": weights[0], "md5": weights[1], "sha256": digest} if weights else None,
        "environment": {"id": environment_id(environment), **environment},
        "commit": {"id": tags.get("git_commit", ""), "dirty": tags.get("git_dirty", "") == "true"},
    }
    return whole, lock


def _firsts(versions: Iterable[Registered], ids: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, str]:
    """The first version that each run made a part of: a run of an earlier version was reused."""
    firsts: dict[str, str] = {}
    if facts["registered_here"]:
        for version in versions:
            for stage, run_id in ids.items():
                if version.runs.get(stage) == run_id:
                    firsts.setdefault(stage, version.number)
    return firsts


def _recorded(
    root: Path, client: Client, facts: Mapping[str, Any], ids: Mapping[str, str]
) -> tuple[Lock | None, dict[str, Identity]]:
    """DVC's record of the runs, and the identities that it names."""
    try:
        cache = open_cache(root)
    except PipelineError:  # a folder that is no DVC project has no records
        return None, {}
    run_id = facts["run"]["run_id"] if facts["registered_here"] and facts["run"] else ""
    lock = Index(Records(root, cache), cache).of_version(client, ids, run_id)
    return lock, dict(read_made(lock, cache).runs) if lock else {}


def _tags_of_run(client: Client, facts: Mapping[str, Any], identities: Mapping[str, Identity]) -> dict[str, str]:
    """Commit and environment of the run that registered the version; from its file where the store does not have it."""
    run_id = str((facts["run"] or {}).get("run_id", ""))
    if run := known_run(client, run_id):
        return dict(run.tags)
    left = next((identity for identity in identities.values() if identity.run_id == run_id), None)
    known = {key: str(value) for key, value in asdict(left).items() if isinstance(value, str)} if left else {}
    return {**facts["tags"], **known}


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    files = {kind: {item["path"]: item.get("md5", "") for item in entry.get(kind, ())} for kind in ("deps", "outs")}
    params = {key: value for file in entry.get("params", {}).values() for key, value in file.items()}
    return {**files, "params": params}
