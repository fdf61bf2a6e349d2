"""`croft export`: a model as other servers want it."""

from __future__ import annotations

from pathlib import Path

from pipeline import telemetry
from pipeline.errors import ParamsError
from pipeline.registry.files import ModelFiles, model_files
from pipeline.registry.package import CARD_FILE, GRAPH_FILE, check_export

_NAME, _VERSION = "croft", "1"


def export_model(model: str, *, triton: Path | None) -> None:
    """Write a folder, a version or an alias for other servers; nothing is uploaded.

    Raises:
        CroftError: no target is named, a target is not empty, or the model cannot be read.
    """
    from pipeline.export.triton import write_triton

    if triton is None:
        raise ParamsError("nothing to export to; expected --triton DIR")
    telemetry.disable()
    files = _files(model)
    place = write_triton(triton, name=files.name, version=files.version, graph=files.graph, card=files.card)
    print(f"Triton: {place} holds version {files.version}")


def _files(model: str) -> ModelFiles:
    folder = Path(model)
    if folder.is_dir():
        check_export(folder)
        return ModelFiles(_NAME, _VERSION, folder / GRAPH_FILE, folder / CARD_FILE)
    from pipeline.params import load_params

    return model_files(load_params().register_.model, model, root=Path.cwd())
