"""Moving the alias champion: forward through the gate, back by the journal."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import GateError, TrackingError
from pipeline.params import Promote
from pipeline.registry.assess import VERDICT_TAG, assess, store_table
from pipeline.registry.gate import Check, Verdict
from pipeline.registry.journal import Entry, champions, entries
from pipeline.registry.versions import CHALLENGER, CHAMPION, aliased, model_version, open_registry, registered_model
from pipeline.tracking.client import reported

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


class Gate(Protocol):
    """Judges a version against the champion ("" for none)."""

    def __call__(
        self, client: MlflowClient, name: str, version: str, champion: str, *, limits: Promote, root: Path | None
    ) -> Verdict: ...


def promote(
    name: str,
    version: str | None = None,
    *,
    limits: Promote,
    force: bool = False,
    reason: str = "",
    dry_run: bool = False,
    gate: Gate = assess,
    root: Path | None = None,
) -> Verdict:
    """Judge a version and, when it passes, make it champion; the verdict is stored on the version either way.

    Args:
        name: of the registered model.
        version: number or alias; the challenger by default.
        limits: of the gate.
        force: promote even if the gate refuses; needs a reason.
        reason: kept in the verdict and in the journal.
        dry_run: judge only; store nothing and move nothing.
        gate: what judges.
        root: the project, whose artifacts hold the version's evaluation data; the working directory by default.
    Raises:
        TrackingError: the server cannot be reached, or the model or version does not exist.
        GateError: forced without a reason, or the version was not registered by this pipeline.
    """
    if force and not reason.strip():
        raise GateError("a forced promotion needs a reason: --force --reason TEXT")
    client, uri = open_registry(root)
    with reported(uri):
        number = str(model_version(client, name, version or CHALLENGER).version)
        present = aliased(client, name, CHAMPION)
        if number == present:
            done = Check("champion", True, f"version {number} is already the champion; nothing was changed")
            return Verdict(True, (done,), version=number, champion=present)
        verdict = gate(client, name, number, present, limits=limits, root=root)
        forced = force and not verdict.passed
        passed = verdict.passed or forced
        verdict = dataclasses.replace(
            verdict,
            passed=passed,
            forced=forced,
            reason=reason,
            version=number,
            champion=present,
            promoted=passed and not dry_run,
        )
        if dry_run:
            return verdict
        now = _now()
        for key, value in (
            (VERDICT_TAG, verdict.to_json()),
            ("gate.passed", str(passed).lower()),
            ("gate.time", now),
        ):
            client.set_model_version_tag(name, number, key, value)
        store_table(client, name, verdict)
        if passed:
            _move(client, name, Entry(now, "promote", present, number, forced, reason))
        return verdict


def rollback(name: str, *, root: Path | None = None, reason: str = "") -> tuple[str, str]:
    """Move the alias champion back to the previous champion.

    Args:
        name: of the registered model.
        root: the project; the working directory by default.
        reason: kept in the journal.
    Returns:
        The version that was champion, and the one that is now.
    Raises:
        TrackingError: the server cannot be reached, or the model does not exist.
        GateError: there is no champion, or none before it that still exists.
    """
    client, uri = open_registry(root)
    with reported(uri):
        model = registered_model(client, name)
        present = aliased(client, name, CHAMPION)
        if not present:
            raise GateError(f"{name}: no champion to roll back from; promote a version first")
        earlier = [v for v in champions(entries(dict(model.tags)), present)[:-1] if v != present]
        for candidate in reversed(earlier):
            try:
                model_version(client, name, candidate)
            except TrackingError:  # deleted since
                continue
            _move(client, name, Entry(_now(), "rollback", present, candidate, False, reason))
            return present, candidate
    raise GateError(f"{name}: version {present} has no earlier champion to roll back to")


def _move(client: MlflowClient, name: str, entry: Entry) -> None:
    # The journal comes second: an alias that moved without an entry still counts as the present champion.
    client.set_registered_model_alias(name, CHAMPION, entry.after)
    client.set_registered_model_tag(name, entry.key, entry.to_json())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
