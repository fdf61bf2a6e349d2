"""Data sets by name in a checkout: the latest recorded version or a stated one, committed in the project or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pipeline.errors import DataError
from pipeline.versioning.history import Version, history_path, read_history, write_history
from pipeline.versioning.names import check_name
from pipeline.versioning.pointer import read_pointer, write_pointer

LATEST: Literal["latest"] = "latest"
Choice = Literal["latest"] | int
"""A version of a data set: its number, or the one that was recorded last."""


def choose(project: Path, checkout: Path, name: str, choice: Choice) -> Version:
    """Look a version up among those that the project's tree has recorded, or else those of the revision.

    Raises:
        ParamsError: `name` is no name of a data set.
        DataError: there is no such version.
    """
    check_name(name, "data set")
    versions: Sequence[Version] = read_history(project, name) or read_history(checkout, name)
    if choice == LATEST and versions:
        return versions[-1]
    for version in versions:
        if str(version.number) == str(choice):
            return version
    numbers = f"versions 1 to {len(versions)}" if versions else "no version"
    advice = "" if versions else "; add one with `croft data add PATH --name NAME`"
    raise DataError(f"data set {name}: expected latest or a version number, found {choice!r}; it has {numbers}{advice}")


def pin(project: Path, checkout: Path, data: Mapping[str, Choice]) -> list[Path]:
    """Write the .dvc file of each version, and its line among the recorded versions, into the checkout.

    Args:
        project: whose versions are meant.
        checkout: where the files are written.
        data: name to version.
    Returns:
        The files that were written, relative to the checkout; none for a version that the revision has already.
    Raises:
        ParamsError: a name is none of a data set.
        DataError: a version does not exist.
    """
    written: list[Path] = []
    for name, choice in data.items():
        version = choose(project, checkout, name, choice)
        pointer = read_pointer(checkout, name)
        if pointer is None or pointer.md5 != version.md5:
            (checkout / "data").mkdir(exist_ok=True)
            write_pointer(checkout, name, version.pointer)
            written.append(Path("data") / f"{name}.dvc")
        # Both files belong together: a later `croft data add` on this commit must know the number of the version.
        if len(known := read_history(checkout, name)) < version.number:
            recorded = read_history(project, name)[: version.number]
            if [one.md5 for one in recorded[: len(known)]] == [one.md5 for one in known]:
                write_history(checkout, name, recorded)
                written.append(history_path(Path(), name))
    return written
