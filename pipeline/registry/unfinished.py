"""Models of registrations that were cut off: a store holds whole models only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pipeline.tracking.client import existing
from pipeline.tracking.pages import paged
from pipeline.tracking.parents import was_abandoned
from pipeline.tracking.versions import listed_versions

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.tracking import MlflowClient


def remove_unfinished(client: MlflowClient, name: str, *, experiment: str) -> list[str]:
    """Remove what killed or failed registrations of a name left: models without a version, whose run did not finish.

    Returns:
        The ids of the removed models.
    """
    quoted = f"name = '{name}'"
    # The whole list first: what is removed while it is read would shift its pages.
    logged = list(
        paged(lambda token: client.search_logged_models([experiment], filter_string=quoted, page_token=token))
    )
    registered = {
        version.run_id for version in listed_versions(client, name)
    }  # a search leaves out the version's model_id
    removed = []
    for model in logged:
        if model.source_run_id not in registered and _is_unfinished(client, model):
            _remove(client, model)
            removed.append(str(model.model_id))
    return removed


@contextlib.contextmanager
def removed_on_error(client: MlflowClient, model: LoggedModel) -> Iterator[None]:
    """Remove a new model if the block, which makes it a version, fails."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to report; the next registration tries again
            _remove(client, model)
        raise


def _is_unfinished(client: MlflowClient, model: LoggedModel) -> bool:
    run = existing(lambda: client.get_run(str(model.source_run_id)))
    return run is None or run.info.status in ("FAILED", "KILLED") or was_abandoned(client, run)


def _remove(client: MlflowClient, model: LoggedModel) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    # The files first: they give a full disk the room that the change of the record needs.
    location = str(model.artifact_location)
    files: Any = get_artifact_repository(location, tracking_uri=client.tracking_uri)
    files.delete_artifacts()
    if location.startswith("file:"):
        with contextlib.suppress(OSError):  # the folder of the model, in which its files had a folder of their own
            Path(unquote(urlsplit(location).path)).parent.rmdir()
    client.delete_logged_model(model.model_id)
