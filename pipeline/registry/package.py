"""An MLflow model folder that loads without torch and without this project being installed."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.registry.code import ShippedCode, shipped_code
from pipeline.tables import read_json

GRAPH_FILE, CARD_FILE = "model.onnx", "card.json"
EXTRAS = "extras"  # variants, adapters, and the weights that one ONNX file cannot hold


def save_package(
    folder: Path,
    out: Path,
    *,
    run_id: str,
    model_id: str,
    metadata: Mapping[str, Any],
    sources: Path | None = None,
) -> None:
    """Write an MLflow pyfunc model.

    Args:
        folder: holds model.onnx and card.json.
        out: the folder to create.
        run_id, model_id: of the run and of the logged model that it belongs to.
        metadata: goes into the MLmodel file, beside the name of the code.
        sources: the folder of the package `pipeline` whose code is shipped; the one that runs by default.
    Raises:
        DataError: a file of the folder is missing.
    """
    import pandas as pd

    check_export(folder)
    card = read_json(folder / CARD_FILE)
    code = shipped_code(sources)
    with tempfile.TemporaryDirectory() as scratch, _quiet(), _importable(code, Path(scratch)) as (package, model):
        import mlflow.pyfunc

        described = mlflow.models.Model(run_id=run_id, model_id=model_id)
        mlflow.pyfunc.save_model(
            path=str(out),
            python_model=str(model),
            artifacts=_artifacts(folder),
            code_paths=[str(package)],
            pip_requirements=requirements(),
            signature=_signature(card["classes"]),
            input_example=pd.DataFrame({"image": [_grey_png(int(card["image_size"]))]}),
            metadata={"code": code.package, **metadata},
            mlflow_model=described,
        )
    # MLflow also writes down where the files came from, which means nothing on another machine; it does not read it.
    flavor = described.flavors[mlflow.pyfunc.FLAVOR_NAME]
    flavor["model_code_path"] = model.name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    described.save(str(out / "MLmodel"))


def check_export(folder: Path) -> None:
    """Refuse a folder that lacks a file of the model.

    Raises:
        DataError: naming the file.
    """
    for name in (GRAPH_FILE, CARD_FILE):
        if not (folder / name).is_file():
            raise DataError(f"{folder / name}: no such file; export the model again: croft run export")


def _artifacts(folder: Path) -> dict[str, str]:
    found = {"graph": str(folder / GRAPH_FILE), "card": str(folder / CARD_FILE)}
    if (folder / EXTRAS).is_dir():  # variants, adapters, and weights that one ONNX file cannot hold
        found["extras"] = str(folder / EXTRAS)
    return found


def requirements() -> list[str]:
    """What a server must install, pinned to the versions installed here."""
    pinned = [f"{name}=={importlib.metadata.version(name)}" for name in ("mlflow", "numpy", "pandas", "pillow")]
    # A server with a GPU puts onnxruntime-gpu in its place; both together would leave no CUDA.
    return [*pinned, f"onnxruntime=={_onnxruntime_version()}"]


@contextlib.contextmanager
def _importable(code: ShippedCode, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Write the code into a folder and let this process import it: MLflow runs the model's file while it saves it."""
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield code.write(folder)
    finally:
        sys.path.remove(str(folder))
        # The folder goes away; a version with this code that is loaded later brings its own.
        for name in sys.modules.keys() - known:
            if name.partition(".")[0] == code.package:
                del sys.modules[name]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # MLflow warns about its own code on import, and about a missing pip in an environment made by uv.
    logger = logging.getLogger("mlflow.utils.environment")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)


def _onnxruntime_version() -> str:
    for name in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    import onnxruntime

    return str(onnxruntime.__version__)


def _signature(classes: list[str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    outputs: list[Any] = [
        ColSpec(DataType.string, "label"),
        ColSpec(DataType.string, "class"),
        ColSpec(DataType.float, "probability"),
        ColSpec(DataType.float, "score"),
        ColSpec(DataType.boolean, "unknown"),
        ColSpec(DataType.string, "error", required=False),
        *(ColSpec(DataType.float, f"p({name})") for name in classes),
    ]
    # Declared as binary, MLflow would refuse an empty table, whose column has no type, and encode texts of `inputs`
    # twice. What a value must be, the model itself says.
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "image")]),  # type: ignore[no-untyped-call]
        outputs=Schema(outputs),
        params=ParamSchema([ParamSpec("on_error", DataType.string, "report")]),
    )


def _grey_png(size: int) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (size, size), (128, 128, 128)).save(stream, format="PNG")
    return stream.getvalue()
