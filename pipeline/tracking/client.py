"""The client of the tracking server: its address, the experiment, and errors that hold no credentials."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pipeline.errors import TrackingError, without_credentials
from pipeline.origin import workspace
from pipeline.storage import explain
from pipeline.tracking.local import check_folder, sqlite_file, sqlite_uri
from pipeline.tracking.moved import artifacts_folder, mend
from pipeline.tracking.store import STORE_TAG, known_store, new_store

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    Client: TypeAlias = MlflowClient  # for areas that pass a client on and do not know MLflow

Item = TypeVar("Item")
EXPERIMENT_VARIABLE = "CROFT_EXPERIMENT"
URI_VARIABLE = "MLFLOW_TRACKING_URI"
_FIRST_ARTIFACTS = "_MLFLOW_SERVER_ARTIFACT_ROOT"

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # "View run ... at" prints the URI with its password
    # The default of 7 retries with a backoff of 2 keeps a stage waiting for minutes when the server is down.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def tracking_uri(root: Path) -> str:
    """Where runs go: `MLFLOW_TRACKING_URI`, or a SQLite file under `.croft` of root's workspace by absolute path."""
    chosen = os.environ.get(URI_VARIABLE, "").strip()
    if not chosen:
        return sqlite_uri(workspace(root) / ".croft" / "mlflow.db")
    relative = re.fullmatch(r"sqlite:///(?!/)(.+)", chosen)  # relative: a different file in every working directory
    return sqlite_uri(workspace(root) / relative[1]) if relative else chosen


def check_store(root: Path) -> None:
    """Refuse a project whose models could not be loaded from the store that it writes to.

    Raises:
        TrackingError: the store keeps them in the project's folder, and MLflow cannot read them there.
    """
    if not _keeps_artifacts(tracking_uri(root)):
        check_folder(workspace(root))


def shown_uri(uri: str) -> str:
    """The URI without user, password and query, safe to print and to store."""
    parts = urlsplit(uri)
    try:
        _ = parts.port
    except ValueError:  # a password with a slash in it, which ends the host's part too early
        return f"{parts.scheme}://{uri.rpartition('@')[2]}"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) if parts.netloc else uri


def connect(root: Path) -> MlflowClient:
    """A client for runs and the registry; nothing is sent yet.

    A local store that was moved or copied with its workspace is mended first, with a line on standard error.

    Raises:
        TrackingError: MLflow does not support the URI, the database cannot be opened, or models cannot lie in `root`.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)  # read by MLflow at import and at each request
    uri = tracking_uri(root)
    check_store(root)
    if not _keeps_artifacts(uri):
        # MLflow's own experiment 0 lies in the working directory, whose name it does not quote for SQL.
        os.environ[_FIRST_ARTIFACTS] = _artifacts(uri, root)
    if database := sqlite_file(uri):
        database.parent.mkdir(parents=True, exist_ok=True)
        if line := mend(database, workspace(root)):
            print(line, file=sys.stderr, flush=True)  # standard output may be read by a program
    # MLflow calls deprecated parts of SQLAlchemy; a caller that turns warnings into errors cannot change that.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning), reported(uri):
        from mlflow.tracking import MlflowClient

        # It prints a traceback of each database error, and raises the same error for us to report.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextlib.contextmanager
def reported(uri: str) -> Iterator[None]:
    """Turn what MLflow and its transports raise into one line that names the server without credentials."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, ConnectionError, TimeoutError, ImportError) as error:
        if line := explain(error, sqlite_file(uri)):
            raise TrackingError(line) from None
        reason = without_credentials(" ".join(str(error).split()).replace(uri, shown_uri(uri)))[:300]
        raise TrackingError(
            f"{shown_uri(uri)}: tracking failed ({reason}); what was computed is kept; "
            f"check the server or {URI_VARIABLE}, then run this again"
        ) from None


def existing(look: Callable[[], Item]) -> Item | None:
    """What a look-up in a store gives; None where the store does not have it."""
    from mlflow.exceptions import MlflowException

    try:
        return look()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def experiment_name() -> str:
    """What `CROFT_EXPERIMENT` says, else croft."""
    return os.environ.get(EXPERIMENT_VARIABLE, "").strip() or "croft"


def experiment_id(client: MlflowClient, root: Path) -> tuple[str, str]:
    """Name and id of the experiment; created where it is missing, restored where it was deleted."""
    from mlflow.exceptions import MlflowException

    name = experiment_name()
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        kept = _keeps_artifacts(client.tracking_uri)
        location = None if kept else _artifacts(client.tracking_uri, root)
        tags = {STORE_TAG: known_store(client) or new_store()}
        try:
            return name, str(client.create_experiment(name, artifact_location=location, tags=tags))
        except MlflowException:  # another process was first
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return name, str(experiment.experiment_id)


def _artifacts(uri: str, root: Path) -> str:
    return artifacts_folder(sqlite_file(uri), workspace(root)).as_uri()


def _keeps_artifacts(uri: str) -> bool:
    """Whether this is a server, which chooses the place of artifacts; with a database we must."""
    return uri.startswith(("http:", "https:", "databricks"))
