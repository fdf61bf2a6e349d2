"""Processes that promote and roll back at once, and that a SIGKILL ends in the middle.

Each is forked from a server that has imported MLflow, and has opened no database.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.params import Promote
from pipeline.registry.epochs import read_journal
from pipeline.registry.gate import Check, Verdict
from pipeline.registry.history import history
from pipeline.registry.journal import Entry
from pipeline.registry.promotion import promote, rollback
from pipeline.registry.versions import CHAMPION, aliased
from pipeline.tracking.client import URI_VARIABLE, connect

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

NAME = "croft"
_WRITES = (
    "create_experiment",
    "set_registered_model_alias",
    "set_experiment_tag",
    "set_model_version_tag",
)


def passing(
    client: MlflowClient, name: str, version: str, champion: str, *, limits: Promote, root: Path | None
) -> Verdict:
    """A gate that lets everything pass: these tests are about what follows."""
    return Verdict(True, (Check("accuracy", True, "better"),))


def promote_passing(version: str, root: Path, *, dry_run: bool = False) -> Verdict:
    return promote(NAME, version, limits=Promote(), gate=passing, root=root, dry_run=dry_run)


def add_versions(root: Path, count: int) -> MlflowClient:
    """A registered model with versions whose files lie with a run; returns the client."""
    client = connect(root)
    client.create_registered_model(NAME)
    run = client.create_run("0").info
    client.log_text(run.run_id, "", "model/MLmodel")
    for _ in range(count):
        client.create_model_version(NAME, f"{run.artifact_uri}/model", run_id=run.run_id)
    return client


def check_chain(root: Path, length: int | None = None) -> tuple[Entry, ...]:
    """Epochs count from 1, each begins where the one before ended, and the alias is where the last ended."""
    entries = history(NAME, root=root)
    assert [entry.epoch for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.before for entry in entries] == ["", *(entry.after for entry in entries)][: len(entries)]
    client = connect(root)
    assert aliased(client, NAME, CHAMPION) == (entries[-1].after if entries else "")
    assert not read_journal(client, NAME).open
    if length is not None:
        assert len(entries) == length
    return entries


def forked() -> Any:
    """The context to start processes with."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store", __name__])
    return context


def run_promote(root: str, uri: str, version: str, results: Any) -> None:
    """Promote a version in the store `uri` ("" for the project's own): forked processes have an older environment."""
    os.environ.pop(URI_VARIABLE, None)
    if uri:
        os.environ[URI_VARIABLE] = uri
    verdict = promote_passing(version, Path(root))
    results.put((version, verdict.promoted))


def run_killed(root: str, version: str, call: int, after: bool) -> None:
    """Promote a version ("" rolls back), and die at the given write to the store, before or after it."""
    from mlflow.tracking import MlflowClient

    left = [call]
    for name in _WRITES:
        setattr(MlflowClient, name, _deadly(getattr(MlflowClient, name), left, after=after))
    if version:
        promote_passing(version, Path(root))
    else:
        rollback(NAME, root=Path(root))


def _deadly(method: Any, left: list[int], *, after: bool) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = method(*arguments, **options)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return call
