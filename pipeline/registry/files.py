"""The files of a registered version on this machine: where they lie, or a copy of what a server keeps."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import TrackingError
from pipeline.origin import workspace
from pipeline.registry.package import CARD_FILE, GRAPH_FILE
from pipeline.registry.versions import model_version, open_registry
from pipeline.tracking.client import reported

_INSIDE = "artifacts"  # of the MLflow model folder


@dataclass(frozen=True)
class ModelFiles:
    """One registered version.

    Attributes:
        name, version: of the registered model.
        graph, card: its files on this machine.
    """

    name: str
    version: str
    graph: Path
    card: Path


def model_files(name: str, version: str, *, root: Path | None = None) -> ModelFiles:
    """Find a version's graph and card; what lies on a server is downloaded once.

    Args:
        name: of the registered model.
        version: its number, or an alias such as champion.
        root: the project; the working directory by default.
    Raises:
        TrackingError: the registry cannot be reached, the model or version does not exist, or its files are missing.
    """
    root = (root or Path.cwd()).resolve()
    client, uri = open_registry(root)
    with reported(uri):
        number = str(model_version(client, name, version).version)
        source = str(client.get_model_version_download_uri(name, number))
        if urlsplit(source).scheme in ("", "file"):
            folder = local_folder(source)
        else:
            # Another server has a version of this number too.
            place = f"{number}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
            folder = workspace(root) / ".croft" / "models" / name / place
            if not folder.is_dir():
                _download(source, uri, folder)
    found = ModelFiles(name, number, folder / _INSIDE / GRAPH_FILE, folder / _INSIDE / CARD_FILE)
    for path in (found.graph, found.card):
        if not path.is_file():
            raise TrackingError(f"{name} version {number}: {path}: no such file; register the model again: croft run")
    return found


def local_folder(source: str) -> Path:
    """The folder that the source of a version on this machine names."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(str(local_file_uri_to_path(source)))  # type: ignore[no-untyped-call]


def _download(source: str, uri: str, folder: Path) -> None:
    """Copy a model folder here; another process that does the same at once does no harm."""
    import mlflow.artifacts

    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".download-"))
    try:
        fetched = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=str(scratch), tracking_uri=uri)
        try:
            os.rename(fetched, folder)  # whole or not at all
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
