"""Versions of a registered model as plain values: number, time, aliases, and the runs that their tags name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.tracking.client import existing

if TYPE_CHECKING:
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


def registered_versions(client: MlflowClient, name: str) -> list[Registered]:
    """All versions of a model, the oldest first, read page by page; [] where there is no such model."""
    model = existing(lambda: client.get_registered_model(name))
    if model is None:
        return []
    carried: dict[str, list[str]] = {}
    for alias, number in dict(model.aliases).items():
        carried.setdefault(str(number), []).append(alias)
    found: list[Registered] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token)
        for item in page:
            number, created = str(item.version), datetime.fromtimestamp(item.creation_timestamp / 1000, UTC)
            aliases = tuple(sorted(carried.get(number, ())))
            time = created.isoformat(timespec="seconds")
            found.append(Registered(number, time, str(item.run_id or ""), aliases, dict(item.tags)))
        token = page.token
        if not token:
            return sorted(found, key=lambda version: int(version.number))


def stage_runs(tags: Mapping[str, str]) -> dict[str, str]:
    """Run id by stage, as the tags of a version or of a parent run name them."""
    return {
        key.removeprefix(_HEAD).removesuffix(_TAIL): str(value)
        for key, value in tags.items()
        if key.startswith(_HEAD) and key.endswith(_TAIL)
    }
