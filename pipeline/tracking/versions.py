"""Versions of a registered model as plain values: number, time, aliases, and the runs that their tags name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.tracking.client import existing
from pipeline.tracking.pages import moment, paged

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

_HEAD, _TAIL = "stage.", ".run_id"


@dataclass(frozen=True)
class Registered:
    """A version of a model in the registry.

    Attributes:
        number: of the version.
        created: UTC, ISO 8601.
        run_id: of the run that registered it, "" where that is not known.
        aliases: that it carries, sorted.
        tags: of the version.
    """

    number: str
    created: str
    run_id: str = ""
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> dict[str, str]:
        """Run id by stage."""
        return {**({"register": self.run_id} if self.run_id else {}), **stage_runs(self.tags)}


def listed_versions(client: MlflowClient, name: str) -> Iterator[ModelVersion]:
    """All versions of a model as the store lists them, page by page."""
    yield from paged(lambda token: client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token))


def registered_versions(client: MlflowClient, name: str) -> list[Registered]:
    """All versions of a model, the oldest first, read page by page; [] where there is no such model."""
    model = existing(lambda: client.get_registered_model(name))
    if model is None:
        return []
    carried: dict[str, list[str]] = {}
    for alias, number in dict(model.aliases).items():
        carried.setdefault(str(number), []).append(alias)
    found = []
    for item in listed_versions(client, name):
        number = str(item.version)
        aliases = tuple(sorted(carried.get(number, ())))
        found.append(
            Registered(number, moment(item.creation_timestamp), str(item.run_id or ""), aliases, dict(item.tags))
        )
    return sorted(found, key=lambda version: int(version.number))


def stage_runs(tags: Mapping[str, str]) -> dict[str, str]:
    """Run id by stage, as the tags of a version or of a parent run name them."""
    return {
        key.removeprefix(_HEAD).removesuffix(_TAIL): str(value)
        for key, value in tags.items()
        if key.startswith(_HEAD) and key.endswith(_TAIL)
    }
