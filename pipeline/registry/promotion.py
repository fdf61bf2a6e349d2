"""Moving the alias champion: forward through the gate, back by the journal."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import GateError, TrackingError
from pipeline.params import Promote
from pipeline.registry.assess import assess, store_table
from pipeline.registry.epochs import patiently, read_journal
from pipeline.registry.gate import VERDICT_TAG, Check, Verdict
from pipeline.registry.journal import PROMOTE, ROLLBACK, Entry, champions
from pipeline.registry.owner import who
from pipeline.registry.settled import make, now, settled
from pipeline.registry.versions import CHALLENGER, model_version, open_registry
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
    move: bool = True,
    gate: Gate = assess,
    root: Path | None = None,
) -> Verdict:
    """Judge a version and, when it passes, make it champion; the verdict is stored on the version either way.

    Where another promotion comes between, the version is judged again, against the new champion.

    Args:
        name: of the registered model.
        version: number or alias; the challenger by default.
        limits: of the gate.
        force: promote even if the gate refuses; needs a reason.
        reason: kept in the verdict and in the journal.
        dry_run: judge only; nothing is stored, and nothing that a kill left is mended.
        move: False to judge and store the verdict, and leave the alias where it is.
        gate: what judges.
        root: the project, in which the version's evaluation data are looked up; the working directory by default.
    Raises:
        TrackingError: the server cannot be reached, or the model or version does not exist.
        GateError: forced without a reason, or the version was not registered by this pipeline.
    """
    if force and not reason.strip():
        raise GateError("a forced promotion needs a reason: --force --reason TEXT")
    client, uri = open_registry(root)
    with reported(uri):
        number = str(model_version(client, name, version or CHALLENGER).version)
        while True:
            journal = read_journal(client, name) if dry_run else settled(client, name)
            present = journal.alias
            if number == present:
                done = Check("champion", True, f"version {number} is already the champion; nothing was changed")
                return Verdict(True, (done,), version=number, champion=present)
            verdict = gate(client, name, number, present, limits=limits, root=root)
            forced = force and not verdict.passed
            passed = verdict.passed or forced
            verdict = dataclasses.replace(
                verdict, passed=passed, forced=forced, reason=reason, version=number, champion=present
            )
            if dry_run:
                return verdict
            _store(client, name, verdict)
            if not passed or not move:
                return verdict
            entry = Entry(now(), PROMOTE, present, number, forced, reason, journal.next, who(), _verdict_id(verdict))
            if make(client, name, entry):
                return dataclasses.replace(verdict, promoted=True)
            # Someone else was first: judge again, against the champion that there is now.


def rollback(name: str, *, to: str = "", root: Path | None = None, reason: str = "") -> tuple[str, str]:
    """Move the alias champion back, past every version that was rolled back from, to the champion before.

    Args:
        name: of the registered model.
        to: the version to go to, any number or alias; by default the champion before.
        root: the project; the working directory by default.
        reason: kept in the journal.
    Returns:
        The version that was champion, and the one that is now.
    Raises:
        TrackingError: the server cannot be reached, or the model or the version does not exist.
        GateError: there is no champion, or none before it that still exists; or the champion changed meanwhile.
    """
    client, uri = open_registry(root)
    with reported(uri):
        journal = settled(client, name)
        present = journal.alias
        if not present:
            raise GateError(f"{name}: no champion to roll back from; promote a version first")
        target = str(model_version(client, name, to).version) if to else _before(client, name, journal.entries, present)
        if target == present:
            raise GateError(f"{name}: version {present} is the champion already; name another version")
        entry = Entry(now(), ROLLBACK, present, target, reason=reason, epoch=journal.next, who=who())
        if make(client, name, entry):
            return present, target
        # Trying again could go back one version more than the person meant.
        champion = settled(client, name).alias
    raise GateError(
        f"{name}: another command made version {champion} champion meanwhile; run `croft history`, then this again"
    )


def _before(client: MlflowClient, name: str, journal: Sequence[Entry], present: str) -> str:
    for candidate in reversed(champions(journal, present)[:-1]):
        try:
            model_version(client, name, candidate)
        except TrackingError:  # deleted since
            continue
        return candidate
    raise GateError(f"{name}: version {present} has no earlier champion to roll back to")


def _store(client: MlflowClient, name: str, verdict: Verdict) -> None:
    # Before the move: a promotion that a kill cut off is finished by the next command, which has no verdict to store.
    tags = {VERDICT_TAG: verdict.to_json(), "gate.passed": str(verdict.passed).lower(), "gate.time": now()}
    for key, value in tags.items():
        patiently(functools.partial(client.set_model_version_tag, name, verdict.version, key, value))
    store_table(client, name, verdict)


def _verdict_id(verdict: Verdict) -> str:
    return hashlib.sha256(verdict.to_json().encode()).hexdigest()[:12]
