"""What must hold between a clone's outputs, its dvc.lock and the tracking stores, whatever led there."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import yaml
from clone import STAGES, Clone

from pipeline.registry.registration import REGISTRATION, read_registration
from pipeline.tracking.identity import Identity, read_identity
from pipeline.tracking.store import known_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def stages_run(said: str) -> list[str]:
    """The tracked stages whose commands DVC started, in order, as it printed them."""
    return [stage for stage in re.findall(r"^Running stage '([^']+)'", said, re.MULTILINE) if stage in STAGES]


class Ledger:
    """The stage runs of some stores, and which of them have been accounted for."""

    def __init__(self, *databases: Path) -> None:
        """databases: the SQLite files of the stores; what they hold now counts as known."""
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # MLflow's own, of SQLAlchemy
            from mlflow import MlflowClient

            self._clients = [MlflowClient(f"sqlite:///{database.resolve()}") for database in databases]
        self._known = set(self._runs())

    def after(self, clone: Clone, said: str, executed: Sequence[str]) -> dict[str, str]:
        """Check the state to which one command brought a clone; return the run ids by stage.

        Args:
            clone: its workspace holds the state.
            said: what the command printed.
            executed: the stages that had to run, in order.
        """
        assert stages_run(said) == list(executed)
        new = self.take_new()
        ids = self.check(clone)
        assert new == {ids[stage]: stage for stage in executed}
        return ids

    def take_new(self, **lost: str) -> dict[str, str]:
        """Stage by id of the runs since the last call; all have ended, and as FINISHED but for those in `lost`.

        Args:
            lost: status of the one new run that did not finish, by stage; it is not returned.
        """
        runs = self._runs()
        new = {run_id: run for run_id, run in runs.items() if run_id not in self._known}
        self._known |= set(new)
        assert [run_id for run_id, run in runs.items() if run.info.status == "RUNNING"] == []
        unfinished = [run for run in new.values() if run.info.status != "FINISHED"]
        assert sorted((run.data.tags["stage"], run.info.status) for run in unfinished) == sorted(lost.items())
        return {run_id: run.data.tags["stage"] for run_id, run in new.items() if run.info.status == "FINISHED"}

    def check(self, clone: Clone) -> dict[str, str]:
        """Check that each stage's output names the one run that computed it; return the ids by stage."""
        assert "up to date" in clone.run("dvc", "status", *STAGES).stdout  # the files are those of dvc.lock
        lock = yaml.safe_load((clone.folder / "dvc.lock").read_text())["stages"]
        identities = {stage: read_identity(clone.folder / f"artifacts/runs/{stage}.json") for stage in STAGES}
        stores = {known_store(client): (client, _runs_of(client)) for client in self._clients}
        for stage, identity in identities.items():
            assert identity.stage == stage
            assert [store for store, (_, runs) in stores.items() if identity.run_id in runs] == [identity.store]
            run = stores[identity.store][1][identity.run_id]
            _check_facts(identity, run)
            _check_params(lock[stage], run)
            _check_inputs(clone, run)
            _check_outputs(clone, stage, lock[stage], run)
        ids = {stage: identity.run_id for stage, identity in identities.items()}
        assert len(set(ids.values())) == len(STAGES)

        # The registered version: made by the run of `register`, from runs that computed what the clone holds.
        registration = read_registration(clone.folder / REGISTRATION)
        client, runs = stores[identities["register"].store]
        version = client.get_model_version(registration.model, registration.version)
        assert version.run_id == registration.run_id == ids["register"]
        for stage in STAGES:
            made = version.tags[f"stage.{stage}.run_id"]
            if made != ids[stage] and made in runs:  # the stage ran again since, and wrote the same bytes
                _check_outputs(clone, stage, lock[stage], runs[made])
        return ids

    def _runs(self) -> dict[str, Run]:
        return {run_id: run for client in self._clients for run_id, run in _runs_of(client).items()}


def _runs_of(client: MlflowClient) -> dict[str, Run]:
    """By id; without the parents that `croft run` opens."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=1000)
    return {run.info.run_id: run for run in runs if "stage" in run.data.tags}


def _check_facts(identity: Identity, run: Run) -> None:
    assert (run.info.status, run.data.tags["stage"]) == ("FINISHED", identity.stage)
    assert run.data.params == identity.params
    assert run.data.metrics == identity.metrics
    assert _digests(run) == identity.inputs
    assert run.data.tags["git_commit"] == identity.git_commit


def _check_params(lock: Mapping, run: Run) -> None:
    """The run had the parameters that dvc.lock records; it knows the defaults of the others too."""
    for name, value in _flat(lock.get("params", {}).get("params.yaml", {})).items():
        logged = run.data.params[name]
        assert logged == value if isinstance(value, str) else json.loads(logged) == value, name


def _check_inputs(clone: Clone, run: Run) -> None:
    """What the run says that it read is what lies there now."""
    digests = _digests(run)
    for item in run.inputs.dataset_inputs:
        file = clone.folder / json.loads(item.dataset.source)["uri"]
        if file.is_file():
            assert hashlib.sha256(file.read_bytes()).hexdigest() == digests[item.dataset.name], file


def _check_outputs(clone: Clone, stage: str, lock: Mapping, run: Run) -> None:
    """The files that were logged with the run have the hashes that dvc.lock records for the stage."""
    recorded = _hashes(clone, [*lock["deps"], *lock["outs"]])
    folder = Path(unquote(urlsplit(run.info.artifact_uri).path))
    compared = 0
    for file in filter(Path.is_file, folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        hashes = {path: md5 for path, md5 in recorded.items() if f"/{path}".endswith(f"/{name}")}
        if hashes:
            (expected,) = hashes.values()
            assert hashlib.md5(file.read_bytes()).hexdigest() == expected, f"{stage}: {name}"  # noqa: S324
            compared += 1
    assert compared, f"{stage}: run {run.info.run_id} holds none of the stage's files"


def _hashes(clone: Clone, entries: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """MD5 by path; DVC lists the files of a folder in its cache. Code has none there, and is no output."""
    hashes = {}
    for entry in entries:
        path, md5 = entry["path"], entry["md5"]
        if not md5.endswith(".dir"):
            hashes[path] = md5
        elif path.startswith("artifacts/"):
            listed = json.loads((clone.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).read_text())
            hashes.update((f"{path}/{item['relpath']}", item["md5"]) for item in listed)
    return hashes


def _digests(run: Run) -> dict[str, str]:
    return {
        item.dataset.name: tag.value
        for item in run.inputs.dataset_inputs
        for tag in item.tags
        if tag.key == "croft.digest"
    }


def _flat(values: Mapping, prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping) and value
        flat.update(_flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flat
