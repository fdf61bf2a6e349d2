"""The model card of a version of the registry, from what its run keeps and what its tags say."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.registry.card.facts import Data, Tracked, card_facts
from pipeline.registry.card.markdown import render
from pipeline.registry.files import model_files
from pipeline.registry.gate import VERDICT_TAG
from pipeline.registry.runs import RUNS, read_identities
from pipeline.registry.versions import model_version, open_registry
from pipeline.tables import read_json
from pipeline.tracking.client import reported
from pipeline.tracking.pages import moment
from pipeline.tracking.versions import stage_runs

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from pipeline.tracking.identity import Identity

README, JSON_FILE = "README.md", "model_card.json"
"""Artifacts of the run that registered the version, beside card.json."""
LOCK, VERSIONS_ENDING = "dvc.lock", ".versions.yaml"
"""Artifacts of the same run: DVC's record, and NAME.versions.yaml of the data set NAME, as they were then."""
_INGEST = "ingest"


def version_facts(name: str, version: str, *, root: Path | None = None) -> dict[str, Any]:
    """What the model card of a version says today, with the gate's verdict so far.

    Args:
        name: of the registered model.
        version: number or alias.
        root: the project; the working directory by default.
    Raises:
        TrackingError: the registry cannot be reached, or does not have the version.
        DataError: its card.json is unreadable.
    """
    client, uri = open_registry(root)
    files = model_files(name, version, root=root)
    with reported(uri):
        return card_facts(read_json(files.card), _tracked(client, name, files.version))


def log_card(client: MlflowClient, name: str, version: str, run_id: str, card: Mapping[str, Any]) -> None:
    """Leave the model card with the version's run, as README.md and model_card.json."""
    facts = card_facts(card, _tracked(client, name, version))
    client.log_text(run_id, render(facts), README)
    client.log_text(run_id, json.dumps(facts, indent=2, ensure_ascii=False), JSON_FILE)


def _tracked(client: MlflowClient, name: str, version: str) -> Tracked:
    record = model_version(client, name, version)
    tags, run = dict(record.tags), str(record.run_id or "")
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch)
        _download(client, run, RUNS.name, kept)
        ingest = _ingest(client, tags, kept / RUNS.name)
        if ingest is not None:
            for file in (LOCK, f"{Path(ingest.params.get('data.root', '')).name}{VERSIONS_ENDING}"):
                _download(client, run, file, kept)
        data = None if ingest is None else _data(ingest, kept, tags)
    verdict = None
    with contextlib.suppress(ValueError):
        verdict = json.loads(tags.get(VERDICT_TAG, ""))
    return Tracked(name, str(record.version), moment(record.creation_timestamp), run, tags, data, verdict)


def _download(client: MlflowClient, run: str, name: str, into: Path) -> None:
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException, OSError):  # a run of an earlier revision has none
        client.download_artifacts(run, name, str(into))


def _ingest(client: MlflowClient, tags: Mapping[str, str], identities: Path) -> Identity | None:
    from pipeline.registry.runs import describe
    from pipeline.tracking.identity import Identity

    run_id = stage_runs(tags).get(_INGEST, "")
    if not run_id:
        return None
    kept = read_identities(identities).get(run_id)
    if kept is not None:
        return kept
    found = describe(client, run_id)
    if found is None:
        return None
    return Identity(run_id=run_id, **{key: found[key] for key in ("params", "metrics", "inputs")})


def _data(ingest: Identity, kept: Path, tags: Mapping[str, str]) -> Data | None:
    root = ingest.params.get("data.root", "")
    if not root:
        return None
    md5 = _md5(kept / LOCK, root)
    images = ingest.metrics.get("images")
    return Data(
        root=root,
        md5=md5,
        version=_number(kept / f"{Path(root).name}{VERSIONS_ENDING}", md5),
        manifest_sha256=tags.get("sha256.manifest", "") or ingest.inputs.get("images", ""),
        images=None if images is None else int(images),
        unknown=_names(ingest.params.get("data.unknown", "")),
    )


def _md5(lock: Path, root: str) -> str:
    """DVC's hash of the data, as the stage ingest read it; "" where the record is missing or is none."""
    import yaml

    with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        for dep in yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"][_INGEST]["deps"]:
            if dep["path"] == root:
                return str(dep["md5"])
    return ""


def _number(path: Path, md5: str) -> int | None:
    """The latest version with this content, by the list of versions; None where there is no such list."""
    import yaml

    with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError, ValueError):
        versions = yaml.safe_load(path.read_text(encoding="utf-8"))["versions"]
        return next((int(version["number"]) for version in reversed(versions) if md5 and version["md5"] == md5), None)
    return None


def _names(text: str) -> tuple[str, ...]:
    with contextlib.suppress(ValueError):
        names = json.loads(text)
        if isinstance(names, list):
            return tuple(map(str, names))
    return ()
