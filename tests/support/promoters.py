"""Processes that promote and roll back at once, and that a SIGKILL ends in the middle.

Each is forked from a server that has imported MLflow, and has opened no database.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.registry.gate import GateFacts
from pipeline.registry.promotion import promote, rollback
from pipeline.registry.register import FACTS_TAG
from pipeline.tracking.client import connect

NAME = "croft"
_WRITES = (
    "create_experiment",
    "set_registered_model_alias",
    "set_experiment_tag",
    "set_model_version_tag",
)


@dataclass(frozen=True)
class Limits:
    max_accuracy_drop: float = 0.01
    max_auroc_drop: float = 0.01
    min_gain_over_zero_shot: float = 0.0


def add_versions(root: Path, count: int, *, accuracy: float = 0.8) -> Any:
    """A registered model with versions that are equally good; returns the client."""
    client = connect(root)
    client.create_registered_model(NAME)
    facts = GateFacts(accuracy, 0.7, 0.5, True, ("a", "b"), ("t",)).to_json()
    for _ in range(count):
        client.create_model_version(NAME, str(root / "model"), tags={FACTS_TAG: facts})
    return client


def forked() -> Any:
    """The context to start processes with."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store", __name__])
    return context


def run_promote(root: str, version: str, results: Any) -> None:
    verdict = promote(NAME, version, limits=Limits(), root=Path(root))
    results.put((version, verdict.promoted))


def run_killed(root: str, version: str, call: int, after: bool) -> None:
    """Promote a version ("" rolls back), and die at the given write to the store, before or after it."""
    from mlflow.tracking import MlflowClient

    left = [call]
    for name in _WRITES:
        setattr(MlflowClient, name, _deadly(getattr(MlflowClient, name), left, after=after))
    if version:
        promote(NAME, version, limits=Limits(), root=Path(root))
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
