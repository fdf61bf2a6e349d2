"""A folder for another server: written beside its place, renamed when it is whole, and never over what is there."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.errors import CheckpointError, DataError
from pipeline.export.save import external_files


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder that becomes `target` when the block ends without an error; else it is removed.

    Raises:
        DataError: `target` is a file, or a folder that is not empty.
    """
    target = target.resolve()  # a link to an empty folder is followed, not replaced
    if target.exists() and not target.is_dir():
        raise DataError(f"{target}: a file; expected a new or empty folder")
    if target.is_dir() and any(target.iterdir()):
        raise DataError(f"{target}: not empty; remove it, or name another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield scratch
        for path in scratch.rglob("*"):
            if path.is_file():
                path.chmod(0o644)
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        scratch.chmod(0o755)  # mkdtemp's 0700 would hide it from a server's user
        scratch.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def copy_graph(graph: Path, target: Path) -> None:
    """Copy a graph, and its external weights to where the copy looks for them.

    Raises:
        CheckpointError: the graph cannot be read, or its weights are missing or lie outside its folder.
    """
    for name in weights_of(graph):
        place = target.parent / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(graph.parent / name, place)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(graph, target)


def weights_of(graph: Path) -> list[str]:
    """Paths of the graph's external weights, relative to its folder; they exist there.

    Raises:
        CheckpointError: as in `copy_graph`.
    """
    if not graph.is_file():
        raise CheckpointError(f"{graph}: no such file; expected an exported graph")
    try:
        names = external_files(graph)
    except Exception as error:  # protobuf's exceptions share no public base
        raise CheckpointError(f"{graph}: not a usable ONNX graph: {' '.join(str(error).split())[:200]}") from None
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise CheckpointError(f"{graph}: its weights lie at {name!r}; expected a path inside its folder")
        if not (graph.parent / name).is_file():
            raise CheckpointError(f"{graph.parent / name}: no such file; the graph's weights belong there")
    return names
