"""An earlier version of a data set back in the workspace."""

from __future__ import annotations

from pathlib import Path

from pipeline.dvc_runner import tracked
from pipeline.dvc_runner.cache import is_complete, is_edited, open_cache
from pipeline.errors import PipelineError
from pipeline.versioning.names import FOLDER, Reference
from pipeline.versioning.pointer import read_pointer, write_pointer
from pipeline.versioning.resolve import Snapshot, resolve
from pipeline.versioning.workspace import Workspace


def restore(root: Path, reference: Reference) -> Snapshot:
    """Write a version's .dvc file and check its files out from DVC's cache, or fetch them from the remote.

    If the files cannot be fetched, the .dvc file is left as it was.

    Raises:
        DataError: there is no such version.
        PipelineError: the workspace holds changes that are in no version, or the files cannot be fetched.
    """
    path = FOLDER / reference.name
    with Workspace(root, reference.name).locked():
        snapshot, present = resolve(root, reference), read_pointer(root, reference.name)
        if present and (root / path).exists() and is_edited(root, path):
            raise PipelineError(
                f"{path}: holds changes that are in no version; make them one with `croft data add {path} --name "
                f"{reference.name}`, or discard them with `dvc checkout --force {path}.dvc`"
            )
        if present and (root / path).exists() and not is_complete(root, path):
            tracked.add(root, path)  # into the cache, or what only the workspace has would be lost
        write_pointer(root, reference.name, snapshot.pointer)
        try:
            tracked.bring(root, path, fetch=bool(open_cache(root).remote))
        except PipelineError:
            if present:
                write_pointer(root, reference.name, present)
            raise
    return snapshot
