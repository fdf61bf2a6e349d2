"""From a model version back to the runs, hashes and commit that made it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.registry.journal import entries
from pipeline.registry.versions import CHAMPION, model_version, open_registry, registered_model
from pipeline.tracking.client import reported, shown_uri

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_STAGE = "stage."
_RUN = ".run_id"


def lineage(name: str, version: str | None = None, *, root: Path | None = None) -> dict[str, Any]:
    """Everything known about where a version came from.

    Args:
        name: of the registered model.
        version: number or alias; the champion by default.
        root: the project; the working directory by default.
    Returns:
        model, version, aliases, created (epoch seconds), tracking_uri, run, stages (name to run), tags (hashes, commit,
        method and others), verdict (None if it was never judged) and journal. A run is a mapping with run_id, status,
        started (epoch seconds), git_commit, params and metrics; status is "not in this store" where it is unknown.
    Raises:
        TrackingError: the server cannot be reached, or the model or version does not exist.
    """
    client, uri = open_registry(root)
    with reported(uri):
        record = model_version(client, name, version or CHAMPION)
        model = registered_model(client, name)
        tags = dict(record.tags)
        stages = {
            key.removeprefix(_STAGE).removesuffix(_RUN): _run(client, value)
            for key, value in tags.items()
            if key.startswith(_STAGE) and key.endswith(_RUN)
        }
        verdict = tags.get("gate.verdict")
        return {
            "model": name,
            "version": str(record.version),
            "aliases": sorted(
                alias for alias, number in dict(model.aliases).items() if str(number) == str(record.version)
            ),
            "created": record.creation_timestamp / 1000.0,
            "tracking_uri": shown_uri(uri),
            "run": _run(client, record.run_id) if record.run_id else None,
            "stages": dict(sorted(stages.items(), key=lambda item: (item[1].get("started") or 0.0, item[0]))),
            "tags": {k: v for k, v in sorted(tags.items()) if not k.startswith(("gate.", _STAGE))},
            "verdict": json.loads(verdict) if verdict else None,
            "journal": [asdict(entry) for entry in entries(dict(model.tags))],
        }


def _run(client: MlflowClient, run_id: str) -> dict[str, Any]:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {"run_id": run_id, "status": "not in this store"}
    return {
        "run_id": run_id,
        "status": run.info.status,
        "started": run.info.start_time / 1000.0,
        "git_commit": run.data.tags.get("git_commit", ""),
        "git_dirty": run.data.tags.get("git_dirty", ""),
        "params": dict(run.data.params),
        "metrics": dict(run.data.metrics),
    }
