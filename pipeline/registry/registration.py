"""artifacts/registration.json: which version a workspace's model became, and whether that holds in this store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DataError, TrackingError
from pipeline.registry.versions import model_version, open_registry
from pipeline.tables import read_json, write_json
from pipeline.tracking.client import reported

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

REGISTRATION = Path("artifacts/registration.json")
CARD = Path("artifacts/export/card.json")
HASH_TAG = "sha256."


@dataclass(frozen=True)
class Registration:
    """A version of a registered model, and the run that registered it: a number alone is another model elsewhere."""

    model: str
    version: str
    run_id: str


def write_registration(registration: Registration, path: Path) -> None:
    """Write the file."""
    write_json(asdict(registration), path)


def read_registration(path: Path) -> Registration:
    """Read the file, which may come from another machine.

    Raises:
        DataError: it is missing or no registration.
    """
    content = read_json(path)
    try:
        return Registration(**{name: str(content[name]) for name in ("model", "version", "run_id")})
    except (KeyError, TypeError):
        raise DataError(f"{path}: expected model, version and run_id; run `dvc repro -f register`") from None


def check_registration(registration: Registration, card: Path, *, root: Path | None = None) -> None:
    """Refuse a registration that was made in another store than the present one, or of another model than a card's.

    Args:
        registration: comes with DVC's outputs, from this store or from another.
        card: card.json of the exported model.
        root: the project; the working directory by default.
    Raises:
        TrackingError: another store; or the server cannot be reached.
        DataError: another model; or the card is missing or cannot be read.
    """
    client, uri = open_registry(root)
    with reported(uri):
        _check(client, registration, card)


def _check(client: MlflowClient, registration: Registration, card: Path) -> None:
    name = f"{registration.model} version {registration.version}"
    try:
        version = model_version(client, registration.model, registration.version)
    except TrackingError:
        raise TrackingError(f"this store has no {name}") from None
    if version.run_id != registration.run_id:
        raise TrackingError(
            f"in this store {name} is another model, which run {version.run_id} registered; expected run "
            f"{registration.run_id}"
        )
    tags = {key.removeprefix(HASH_TAG): value for key, value in version.tags.items() if key.startswith(HASH_TAG)}
    hashes = read_json(card).get("sha256", {})
    differing = sorted(key for key in {*tags, *hashes} if tags.get(key) != hashes.get(key))
    if differing:
        raise DataError(f"{card}: not the model of {name}: {', '.join(differing)} differ; run `croft run register`")
