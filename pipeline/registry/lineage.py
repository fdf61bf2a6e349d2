"""From a model version back to the runs, hashes and commit that made it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError, TrackingError
from pipeline.registry.gate import VERDICT_TAG
from pipeline.registry.registration import CARD, HASH_TAG, REGISTRATION, check_registration, read_registration
from pipeline.registry.runs import RUNS, UNKNOWN, describe, describe_identity, kept_identities, read_identities
from pipeline.registry.settled import settled
from pipeline.registry.versions import CHAMPION, model_version, open_registry, registered_model
from pipeline.tables import read_json
from pipeline.tracking.client import reported, shown_uri
from pipeline.tracking.store import known_store
from pipeline.tracking.versions import stage_runs

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

_STAGE = "stage."


def lineage(name: str, version: str | None = None, *, root: Path | None = None) -> dict[str, Any]:
    """Everything known about where a version came from.

    Runs that the present store does not hold are described by the files that they left: those that were logged when the
    version was registered, or the workspace's own. A workspace whose outputs were pulled, and whose store has no
    champion, is described by its files alone.

    Args:
        name: of the registered model.
        version: number or alias; the champion by default.
        root: the project; the working directory by default.
    Returns:
        model, version, aliases, created (epoch seconds), tracking_uri and store (id) of the present store,
        registered_here (in it), run, stages (name to run), tags (hashes, commit, method ...), verdict (None if it
        was never judged) and journal. A run is what `pipeline.registry.runs.describe` returns; one of another store has
        that store's id and server too. Of a run of which nothing is known there is run_id and the status UNKNOWN alone.
    Raises:
        TrackingError: the server cannot be reached, or the model or version does not exist.
    """
    root = (root or Path.cwd()).resolve()
    client, uri = open_registry(root)
    with reported(uri):
        try:
            record = model_version(client, name, version or CHAMPION)
        except TrackingError:
            facts = _of_files(name, root) if version is None else None
            if facts is None:
                raise
        else:
            moves = settled(client, name).entries
            record = model_version(client, name, version or CHAMPION)  # what a kill left may have changed the champion
            facts = {**_of_store(client, name, record, root), "journal": [asdict(entry) for entry in moves]}
        return {**facts, "tracking_uri": shown_uri(uri), "store": known_store(client)}


def _of_store(client: MlflowClient, name: str, record: ModelVersion, root: Path) -> dict[str, Any]:
    model, tags = registered_model(client, name), dict(record.tags)
    ids = stage_runs(tags)
    runs = {run_id: describe(client, run_id) for run_id in {*ids.values(), record.run_id} if run_id}
    if None in runs.values():
        left = read_identities(root / RUNS) | (kept_identities(client, record.run_id) if record.run_id else {})
        known = {run_id: describe_identity(left[run_id]) for run_id in runs if run_id in left}
        runs = {run_id: run or known.get(run_id) for run_id, run in runs.items()}
    described = {run_id: run or {"run_id": run_id, "status": UNKNOWN} for run_id, run in runs.items()}
    verdict = tags.get(VERDICT_TAG)
    return {
        "model": name,
        "version": str(record.version),
        "aliases": sorted(alias for alias, number in dict(model.aliases).items() if str(number) == str(record.version)),
        "created": record.creation_timestamp / 1000.0,
        "registered_here": True,
        "run": described[record.run_id] if record.run_id else None,
        "stages": _by_start({stage: described[run_id] for stage, run_id in ids.items()}),
        "tags": {k: v for k, v in sorted(tags.items()) if not k.startswith(("gate.", _STAGE))},
        "verdict": json.loads(verdict) if verdict else None,
    }


def _of_files(name: str, root: Path) -> dict[str, Any] | None:
    """The same from the workspace's files, if they belong together and name a version of another store."""
    try:
        registration, card = read_registration(root / REGISTRATION), read_json(root / CARD)
        identities = read_identities(root / RUNS)
        made = identities.get(registration.run_id)
        hashes, graph = card["sha256"], card["sha256"]["graph"]
    except (DataError, KeyError, TypeError):
        return None
    if registration.model != name or made is None or made.inputs.get("model") != graph:
        return None
    try:
        check_registration(registration, root / CARD, root=root)
    except DataError:
        return None
    except TrackingError:
        stages = _by_start({identity.stage: describe_identity(identity) for identity in identities.values()})
        commit = {key: getattr(made, key) for key in ("git_commit", "git_dirty", "lock_sha256", "params_sha256")}
        content = {key: str(card.get(key, "")) for key in ("method", "backbone")}
        return {
            "model": name,
            "version": registration.version,
            "aliases": [],
            "created": describe_identity(made).get("started", 0.0),
            "registered_here": False,
            "run": describe_identity(made),
            "stages": stages,
            "tags": dict(sorted({**commit, **content, **{f"{HASH_TAG}{k}": v for k, v in hashes.items()}}.items())),
            "verdict": None,
            "journal": [],
        }
    return None  # the present store has the version, which is not its champion


def _by_start(stages: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return dict(sorted(stages.items(), key=lambda item: (item[1].get("started") or 0.0, item[0])))
