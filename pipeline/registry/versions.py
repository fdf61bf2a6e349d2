"""Looking up registered models and versions, with errors that name the known ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import TrackingError
from pipeline.phrases import suggest
from pipeline.tracking.client import connect, existing, shown_uri, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"


def registered_model(client: MlflowClient, name: str) -> RegisteredModel:
    """The registered model with its tags and aliases.

    Raises:
        TrackingError: there is no registered model of that name.
    """
    model = existing(lambda: client.get_registered_model(name))
    if model is None:
        raise TrackingError(
            f"{shown_uri(client.tracking_uri)}: no registered model {name!r}; run `croft run` or check register.model"
        )
    return model


def model_version(client: MlflowClient, name: str, version: str) -> ModelVersion:
    """A version by its number or by an alias.

    Raises:
        TrackingError: the model, the version or the alias does not exist.
    """
    model = registered_model(client, name)
    aliases = dict(model.aliases)
    number = str(aliases.get(version, version))
    if number.isdigit() and (known_version := existing(lambda: client.get_model_version(name, number))):
        return known_version
    numbers = sorted((int(item.version) for item in client.search_model_versions(f"name = '{name}'")), reverse=True)
    known = [*aliases, *map(str, numbers)]
    hint = suggest(version, known) if known else "no version is registered"
    raise TrackingError(f"{name}: no version or alias {version!r}; {hint}")


def aliased(client: MlflowClient, name: str, alias: str) -> str:
    """The version number that carries an alias, or "".

    Raises:
        TrackingError: there is no registered model of that name.
    """
    return str(dict(registered_model(client, name).aliases).get(alias, ""))


def open_registry(root: Path | None) -> tuple[MlflowClient, str]:
    """A client and its URI for the project in `root` (the working directory by default)."""
    root = (root or Path.cwd()).resolve()
    return connect(root), tracking_uri(root)
