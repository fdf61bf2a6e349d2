"""The model that a command is to use: a version of the registry, or exported files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from pipeline import telemetry
from pipeline.errors import CheckpointError, CroftError, TrackingError
from pipeline.params import load_params
from pipeline.serving.predictor import CARD_FILE, GRAPH_FILE

_NAME = "croft"  # of a model that is in no registry
_DIGITS = 12  # of a graph's hash, which tell it from all others of a workspace


class Chosen(NamedTuple):
    """Files of a model, and what answers call it.

    Attributes:
        graph, card: its files on this machine.
        name: of the registered model, or croft.
        version: its number, or the first digits of the graph's SHA-256.
        registered: whether the registry has it.
    """

    graph: Path
    card: Path
    name: str
    version: str
    registered: bool

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def choose_model(text: str) -> Chosen:
    """Find the model that `--model` names.

    Args:
        text: a folder with a graph and a card, a graph with its card beside it, a version number, or an alias; a name
            that is both a folder with a graph and an alias is the folder. Nothing is looked up in the registry, and
            MLflow is not imported, for files.
    Raises:
        CheckpointError: it looks like a path, but no model is there.
        TrackingError: there is no such version or alias, or the registry cannot be reached.
    """
    path = Path(text)
    if (path / GRAPH_FILE).is_file() or path.is_file():
        return _files(path)
    if os.sep in text or path.suffix == ".onnx" or path.is_dir():
        raise CheckpointError(
            f"--model {text}: expected a version number, an alias, a folder with {GRAPH_FILE}, or an .onnx file"
        )
    return _registered(text)


def _files(path: Path) -> Chosen:
    from pipeline.hashing import file_sha256

    graph = path / GRAPH_FILE if path.is_dir() else path
    return Chosen(graph, graph.parent / CARD_FILE, _NAME, file_sha256(graph)[:_DIGITS], registered=False)


def _registered(version: str) -> Chosen:
    telemetry.disable()
    hint = "for files: --model artifacts/export"
    try:
        name = load_params().register_.model
    except CroftError as error:
        raise type(error)(f"{error}; {hint}") from None
    from pipeline.registry.files import model_files
    from pipeline.registry.versions import CHAMPION

    try:
        files = model_files(name, version)
    except TrackingError as error:
        promote = "promote a version: croft promote; " if version == CHAMPION else ""
        raise TrackingError(f"{error}; {promote}{hint}") from None
    return Chosen(files.graph, files.card, files.name, files.version, registered=True)
