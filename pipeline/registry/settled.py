"""A true journal before anything else: finish what a kill left, and record what other hands did."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.registry.epochs import Epoch, Journal, claim, finish, is_done, read_journal, set_champion
from pipeline.registry.journal import FOREIGN, Entry
from pipeline.registry.owner import at_work, is_gone, lease_left, new_owner

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FOREIGN_REASON = "the alias was moved by other means than croft"


def settled(client: MlflowClient, name: str) -> Journal:
    """The journal with every epoch finished and the alias where the last entry says.

    Raises:
        TrackingError: there is no registered model of that name.
    """
    while True:
        journal = read_journal(client, name)
        if journal.open:
            _finish_open(client, name, journal)
        elif not journal.foreign:
            return journal
        elif late(journal):
            set_champion(client, name, journal.champion)
        else:
            make(client, name, foreign_entry(journal))


def make(client: MlflowClient, name: str, entry: Entry) -> bool:
    """Claim the entry's epoch, move the alias and finish it; False, and nothing changed, if someone was first."""
    owner = new_owner()
    with at_work(owner):
        epoch = claim(client, name, entry, owner)
        if epoch is None:
            return False
        finish(client, name, epoch, owner.token)
    return True


def foreign_entry(journal: Journal) -> Entry:
    """The entry that records where other hands moved the alias."""
    return Entry(now(), FOREIGN, journal.champion, journal.alias, reason=FOREIGN_REASON, epoch=journal.next)


def late(journal: Journal) -> Epoch | None:
    """The earlier epoch whose owner has just moved the alias, after others had waited for it in vain; None if none."""
    suspects = [
        epoch
        for epoch in journal.epochs[:-1]
        if epoch.entry.after == journal.alias
        and epoch.finisher != epoch.owner.token
        and lease_left(epoch.entry.time) > 0.0
        and not is_gone(epoch.owner)
    ]
    return suspects[-1] if suspects else None


def now() -> str:
    """UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _finish_open(client: MlflowClient, name: str, journal: Journal) -> None:
    for epoch in journal.open:
        until, pause = time.monotonic() + lease_left(epoch.entry.time), 0.05
        while not is_gone(epoch.owner) and time.monotonic() < until:
            time.sleep(pause)
            pause = min(1.5 * pause, 1.0)
            if is_done(client, epoch):
                break
        else:
            finish(client, name, epoch, new_owner().token, last=epoch is journal.epochs[-1])
