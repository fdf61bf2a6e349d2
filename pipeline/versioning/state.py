"""What the workspace holds of a data set, and which version that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.dvc_runner.cache import Cache, is_complete
from pipeline.versioning.contents import Files, hash_folder, listed
from pipeline.versioning.history import Version, number_of, read_history
from pipeline.versioning.names import FOLDER
from pipeline.versioning.pointer import read_pointer


@dataclass(frozen=True)
class State:
    """Attributes:
    files: path to MD5, as they lie in the workspace.
    clean: whether that is what the .dvc file says, and DVC's cache has it too.
    version: the version that the .dvc file names; the latest where it names none of them.
    before: the files of that version, or of the .dvc file where there is no version; None where the cache lacks them.
    """

    files: Files
    clean: bool
    version: Version | None
    before: Files | None


def look(root: Path, name: str, cache: Cache, *, workers: int) -> State:
    """Compare workspace, .dvc file and versions; files that DVC knows to be unchanged are not hashed again.

    Raises:
        DataError: the .dvc file or the list of versions is damaged, or a file cannot be read.
        PipelineError: DVC refuses.
    """
    folder, pointer, versions = root / FOLDER / name, read_pointer(root, name), read_history(root, name)
    number = number_of(versions, pointer.md5) if pointer else None
    version = versions[(number or len(versions)) - 1] if versions else None
    clean = pointer is not None and is_complete(root, FOLDER / name)
    files: Files | None = listed(cache, pointer.md5) if pointer and clean else None
    if files is None:
        files = hash_folder(folder, workers=workers) if folder.is_dir() else {}
    before: Files | None = {}
    if pointer:
        before = listed(cache, version.md5 if version else pointer.md5)
    return State(files, clean, version, before)
