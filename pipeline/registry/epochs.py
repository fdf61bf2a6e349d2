"""The journal in the store: each epoch is an experiment, since the store lets one creator alone have its name.

A claim and what it intends are created in one transaction. From then on the move is decided: whoever comes next can
finish it, and all who try do the same.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.registry.journal import FOREIGN, Entry, entries
from pipeline.registry.owner import Owner
from pipeline.registry.versions import CHAMPION, aliased, registered_model
from pipeline.tracking.pages import paged

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient

Answer = TypeVar("Answer")
JOURNAL = "croft-journal"
INTENT, DONE = "croft.intent", "croft.done"
REASON_CHARACTERS = 2000  # of the 5000 that a tag holds
_PATIENCE = 60.0  # seconds for a database that others write to
_BUSY = re.compile(r"(?i)locked|deadlock|could not serialize|unique constraint|duplicate key")


@dataclass(frozen=True)
class Epoch:
    """One claim.

    Attributes:
        number: from 1.
        id: of the experiment.
        entry: what is or was to be done.
        owner: who claimed it.
        finisher: token of who finished it, "" while it is open.
        deleted: someone deleted the experiment, which MLflow only hides.
    """

    number: int
    id: str
    entry: Entry
    owner: Owner
    finisher: str = ""
    deleted: bool = False


@dataclass(frozen=True)
class Journal:
    """What the store says.

    Attributes:
        legacy: entries of before the epochs, oldest first.
        epochs: in order.
        alias: the version that carries the alias champion, "" for none; read after the epochs.
        strange: numbers that experiments of other hands have taken.
    """

    legacy: tuple[Entry, ...]
    epochs: tuple[Epoch, ...]
    alias: str
    strange: tuple[int, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All, oldest first; an open one counts, since it is decided."""
        return (*self.legacy, *(epoch.entry for epoch in self.epochs))

    @property
    def champion(self) -> str:
        """The version that the last entry made champion, "" for none."""
        return self.entries[-1].after if self.entries else ""

    @property
    def next(self) -> int:
        """The first number that nobody has claimed."""
        return max((*(epoch.number for epoch in self.epochs), *self.strange), default=0) + 1

    @property
    def open(self) -> tuple[Epoch, ...]:
        """Epochs that nobody has finished."""
        return tuple(epoch for epoch in self.epochs if not epoch.finisher)

    @property
    def foreign(self) -> bool:
        """Whether other hands moved the alias since the last entry."""
        return not self.open and self.alias != self.champion


def epoch_name(model: str, number: int) -> str:
    """Name of the experiment; sorts by number."""
    return f"{JOURNAL}/{model}/{number:06d}"


def read_journal(client: MlflowClient, name: str) -> Journal:
    """Read it; changes nothing.

    Raises:
        TrackingError: there is no registered model of that name.
    """
    found = {number: _epoch(item, number) for item in _experiments(client) if (number := _number(item, name))}
    epochs = tuple(epoch for _, epoch in sorted(found.items()) if epoch)
    model = registered_model(client, name)  # after the epochs: what moved in between has claimed the next number
    return Journal(
        tuple(entries(dict(model.tags))),
        epochs,
        str(dict(model.aliases).get(CHAMPION, "")),
        tuple(sorted(number for number, epoch in found.items() if epoch is None)),
    )


def claim(client: MlflowClient, name: str, entry: Entry, owner: Owner) -> Epoch | None:
    """Claim the entry's epoch; None if someone else was first."""
    from mlflow.exceptions import MlflowException

    entry = dataclasses.replace(entry, reason=entry.reason[:REASON_CHARACTERS])
    content = json.dumps({"entry": dataclasses.asdict(entry), "owner": dataclasses.asdict(owner)}, sort_keys=True)
    title = epoch_name(name, entry.epoch)
    try:
        number = patiently(lambda: client.create_experiment(title, tags={INTENT: content}))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        found = client.get_experiment_by_name(title)
        known = None if found is None else _epoch(found, entry.epoch)
        return known if known is not None and known.owner.token == owner.token else None  # a request that was repeated
    return Epoch(entry.epoch, str(number), entry, owner)


def finish(client: MlflowClient, name: str, epoch: Epoch, finisher: str, *, last: bool = True) -> None:
    """Move the alias as an epoch intends and mark the epoch as done; a second time changes nothing.

    Args:
        client: of the store.
        name: of the registered model.
        epoch: claimed, by anyone.
        finisher: token of who does it.
        last: no later epoch was claimed; else the alias belongs to that one.
    """
    over = ""
    if epoch.deleted:
        patiently(lambda: client.restore_experiment(epoch.id))
    if is_done(client, epoch):
        return
    if last and epoch.entry.action != FOREIGN:
        present = aliased(client, name, CHAMPION)
        over = present if present not in (epoch.entry.before, epoch.entry.after) else ""
        if present != epoch.entry.after:
            set_champion(client, name, epoch.entry.after)
    content = json.dumps({"by": finisher, "over": over})
    patiently(lambda: client.set_experiment_tag(epoch.id, DONE, content))


def is_done(client: MlflowClient, epoch: Epoch) -> bool:
    """Whether someone finished an epoch."""
    return DONE in client.get_experiment(epoch.id).tags


def set_champion(client: MlflowClient, name: str, version: str) -> None:
    """Move the alias champion; "" removes it."""
    if version:
        patiently(lambda: client.set_registered_model_alias(name, CHAMPION, version))
    else:
        patiently(lambda: client.delete_registered_model_alias(name, CHAMPION))


def patiently(request: Callable[[], Answer]) -> Answer:
    """Repeat a request while the database is busy with others; it must do no harm twice."""
    from mlflow.exceptions import MlflowException

    until, pause = time.monotonic() + _PATIENCE, 0.05
    while True:
        try:
            return request()
        except MlflowException as error:
            repeat = error.error_code != "RESOURCE_ALREADY_EXISTS" and _BUSY.search(str(error))
            if not repeat or time.monotonic() > until:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 1.0)


def _experiments(client: MlflowClient) -> list[Experiment]:
    """Those of all journals, also the hidden ones."""
    from mlflow.entities import ViewType

    # A model's name stays out of the filter, which cannot quote every character.
    named = f"name LIKE '{JOURNAL}/%'"
    return list(
        paged(
            lambda token: client.search_experiments(
                ViewType.ALL, filter_string=named, max_results=1000, page_token=token
            )
        )
    )


def _number(experiment: Experiment, name: str) -> int:
    """The epoch of the model that an experiment is named for; 0 for another experiment."""
    head, _, number = str(experiment.name).rpartition("/")
    return int(number) if head == f"{JOURNAL}/{name}" and number.isascii() and number.isdigit() else 0


def _epoch(experiment: Experiment, number: int) -> Epoch | None:
    """What an experiment says; None if other hands made it."""
    tags = dict(experiment.tags)
    try:
        content = json.loads(tags[INTENT])
        entry, owner = Entry(**content["entry"]), Owner(**content["owner"])
        done: dict[str, Any] = json.loads(tags.get(DONE, "{}"))
        entry = dataclasses.replace(entry, epoch=number, over=str(done.get("over", "")))
        finisher = str(done["by"]) if done else ""
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    deleted = experiment.lifecycle_stage == "deleted"
    return Epoch(number, str(experiment.experiment_id), entry, owner, finisher, deleted)
