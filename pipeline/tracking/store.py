"""The id of a tracking store: kept in the store itself, so that it is the same wherever the store is moved."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

STORE_TAG = "croft.store"
"""Tag of our experiments; all experiments of a store carry the same value."""


def new_store() -> str:
    """An id for a store that has none."""
    return uuid.uuid4().hex


def known_store(client: MlflowClient) -> str:
    """The id that an experiment of the store carries, "" if none does."""
    from mlflow.entities import ViewType

    tagged = client.search_experiments(ViewType.ALL, filter_string=f"tags.`{STORE_TAG}` LIKE '%'", max_results=1)
    return str(tagged[0].tags[STORE_TAG]) if tagged else ""


def store_id(client: MlflowClient, experiment: str) -> str:
    """The id of the store that holds an experiment; one made before stores had ids gets its store's id now."""
    found = client.get_experiment(experiment)
    if STORE_TAG not in found.tags:
        # Derived, not drawn: two processes that start at once give it the same id.
        derived = uuid.uuid5(uuid.NAMESPACE_URL, f"{found.artifact_location} {found.creation_time}").hex
        client.set_experiment_tag(experiment, STORE_TAG, known_store(client) or derived)
        found = client.get_experiment(experiment)
    return str(found.tags[STORE_TAG])


def server_address(uri: str) -> str:
    """The URI where it is the same on every machine; "" for a file."""
    kind = urlsplit(uri).scheme.partition("+")[0]  # sqlite+pysqlite
    return uri if uri == "databricks" or kind not in ("", "file", "sqlite") else ""
