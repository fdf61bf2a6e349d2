"""From `pacs`, `pacs@2` or `pacs@<git revision>` to what that version held."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipeline.dvc_runner.cache import Cache
from pipeline.errors import DataError
from pipeline.phrases import suggest
from pipeline.versioning.contents import listed
from pipeline.versioning.history import Version, number_of, read_history
from pipeline.versioning.names import FOLDER, Reference
from pipeline.versioning.pointer import Pointer, parse_pointer, read_pointer


@dataclass(frozen=True)
class Snapshot:
    """One version of a data set.

    Attributes:
        name: of the data set.
        number: of the version; None for a state that `croft data add` never saw.
        pointer: what the .dvc file says of it.
    """

    name: str
    number: int | None
    pointer: Pointer

    def __str__(self) -> str:
        return f"{self.name}@{self.number}" if self.number else f"{self.name} ({self.pointer.md5})"

    def files(self, cache: Cache) -> dict[str, str]:
        """Path to MD5 of every file.

        Raises:
            DataError: the listing is not in the cache.
        """
        files = listed(cache, self.pointer.md5)
        if files is None:
            raise DataError(
                f"{self}: its listing ({self.pointer.md5}) is not in DVC's cache; fetch the version from the remote "
                f"with `croft data use {self}`"
            )
        return files


def resolve(root: Path, reference: Reference) -> Snapshot:
    """Look up a version: by number, otherwise by git revision; the present one where none is named.

    Raises:
        DataError: there is no such data set or version.
    """
    name, versions = reference.name, read_history(root, reference.name)
    if not reference.version:
        pointer = read_pointer(root, name)
        if pointer is None:
            names = data_sets(root)
            advice = suggest(name, names) if names else "add one with `croft data add PATH --name NAME`"
            raise DataError(f"{FOLDER / name}: no such data set under DVC; {advice}")
        return Snapshot(name, number_of(versions, pointer.md5), pointer)
    for version in versions:
        if str(version.number) == reference.version:
            return Snapshot(name, version.number, version.pointer)
    pointer = _at_revision(root, reference, versions)
    return Snapshot(name, number_of(versions, pointer.md5), pointer)


def last_two(root: Path, name: str) -> tuple[Snapshot, Snapshot]:
    """The present version and the one before it.

    Raises:
        DataError: there are not two.
    """
    new = resolve(root, Reference(name))
    versions = read_history(root, name)
    if new.number is None or new.number < 2:
        raise DataError(
            f"{FOLDER / name}: its present state has no earlier version; name the two to compare: croft data diff A B"
        )
    return Snapshot(name, new.number - 1, versions[new.number - 2].pointer), new


def data_sets(root: Path) -> list[str]:
    """Names of the folders of images under DVC, sorted."""
    names = [path.stem for path in sorted((root / FOLDER).glob("*.dvc")) if path.is_file()]
    return [name for name in names if _is_folder(root, name)]


def _is_folder(root: Path, name: str) -> bool:
    try:
        return read_pointer(root, name) is not None
    except DataError:  # a single file under DVC, or an import
        return False


def _at_revision(root: Path, reference: Reference, versions: list[Version]) -> Pointer:
    path = f"{FOLDER.as_posix()}/{reference.name}.dvc"
    command = ["git", "show", f"{reference.version}:./{path}"]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        numbers = f"1 to {len(versions)}" if versions else "none"
        raise DataError(f"{reference}: neither a version number ({numbers}) nor a git revision that has {path}")
    return parse_pointer(done.stdout, f"{reference.version}:{path}")
