"""What is wrong with a model's journal, versions and runs, and what can be put right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.errors import TrackingError
from pipeline.registry.epochs import Journal, epoch_name, read_journal
from pipeline.registry.files import local_folder
from pipeline.registry.settled import foreign_entry, late, settled
from pipeline.registry.versions import open_registry
from pipeline.tracking.client import existing, reported
from pipeline.tracking.parents import close_stale_parents, stale_runs
from pipeline.tracking.versions import listed_versions

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        sentence: what, where, and what to do.
        mended: it is right again.
        mendable: `croft doctor --mend` puts it right.
    """

    sentence: str
    mended: bool = False
    mendable: bool = False


def examine(name: str, *, mend: bool = False, root: Path | None = None) -> list[Finding]:
    """Look at the store of a project.

    Args:
        name: of the registered model; it need not exist yet.
        mend: put right what can be; else nothing is changed.
        root: the project; the working directory by default.
    Raises:
        TrackingError: the server cannot be reached.
    """
    client, uri = open_registry(root)
    with reported(uri):
        stale = close_stale_parents(root=root) if mend else stale_runs(root=root)
        found = [
            Finding(f"run {run_id}: RUNNING, but its process is gone; it is KILLED", mend, mendable=True)
            for run_id in stale
        ]
        if existing(lambda: client.get_registered_model(name)) is None:
            return found
        journal = read_journal(client, name)
        found += [Finding(sentence, mend, mendable=True) for sentence in _moves(name, journal)]
        found += [Finding(sentence) for sentence in _gaps(name, journal)]
        if mend:
            settled(client, name)
        return found + _missing(client, name)


def _moves(name: str, journal: Journal) -> list[str]:
    sentences = [
        f"{name}: epoch {epoch.number} ({epoch.entry.action} {epoch.entry.before or 'none'} -> {epoch.entry.after}) "
        "was claimed and not finished; it is finished by moving the alias champion"
        for epoch in journal.open
    ]
    if journal.foreign:
        entry = foreign_entry(journal)
        change = f"alias champion is on version {entry.after or 'none'}, the journal's last entry on {entry.before}"
        if late(journal):
            sentences.append(f"{name}: {change}; a slow command moved it, and it is moved back")
        elif entry.before:
            sentences.append(f"{name}: {change}; other hands moved it, which is recorded as foreign")
        else:
            sentences.append(
                f"{name}: alias champion is on version {entry.after}, and the journal is empty; other hands set it, "
                "which is recorded as foreign"
            )
    return sentences


def _gaps(name: str, journal: Journal) -> list[str]:
    taken = {epoch.number for epoch in journal.epochs}
    sentences = [
        f"{name}: epoch {number} is missing; restore the experiment {epoch_name(name, number)} from a backup"
        for number in range(1, journal.next)
        if number not in taken and number not in journal.strange
    ]
    return sentences + [
        f"{name}: experiment {epoch_name(name, number)} holds no entry of the journal; rename it"
        for number in journal.strange
    ]


def _missing(client: MlflowClient, name: str) -> list[Finding]:
    return [
        Finding(
            f"{name} version {version.version}: no files in {place}; restore them, or delete the version "
            "and run `croft run register`"
        )
        for version in listed_versions(client, name)
        if (place := _lost(client, name, version))
    ]


def _lost(client: MlflowClient, name: str, version: ModelVersion) -> str:
    """Where the files of a version should lie, "" if they are there."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    source = str(client.get_model_version_download_uri(name, str(version.version)))
    if urlsplit(source).scheme in ("", "file"):
        return "" if (local_folder(source) / "MLmodel").is_file() else str(local_folder(source))
    try:
        names = [
            Path(str(item.path)).name for item in get_artifact_repository(source, client.tracking_uri).list_artifacts()
        ]
    except (MlflowException, OSError, TrackingError):
        names = []
    return "" if "MLmodel" in names else source
