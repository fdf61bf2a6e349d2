"""An MLflow model folder that loads without torch and without this project being installed."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pipeline
from pipeline.tables import read_json

GRAPH_FILE, CARD_FILE, EXTRAS = "model.onnx", "card.json", "extras"
SERVING_CODE = (
    "__init__.py",
    "errors.py",
    "images/__init__.py",
    "images/decode.py",
    "images/formats.py",
    "images/jpeg.py",
    "images/png.py",
    "images/view.py",
    "serving/__init__.py",
    "serving/card.py",
    "serving/inputs.py",
    "serving/predictor.py",
    "serving/request.py",
    "serving/session.py",
)
"""All that prediction imports from this package; a test loads a registered model with nothing else on its path."""


def save_package(folder: Path, out: Path, *, run_id: str, model_id: str, metadata: Mapping[str, Any]) -> None:
    """Write an MLflow pyfunc model.

    Args:
        folder: holds model.onnx and card.json.
        out: the folder to create.
        run_id, model_id: of the run and of the logged model that it belongs to.
        metadata: goes into the MLmodel file.
    """
    import pandas as pd

    card = read_json(folder / CARD_FILE)
    package = Path(pipeline.__file__).parent
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        import mlflow.pyfunc

        code = Path(scratch) / "pipeline"
        for name in SERVING_CODE:
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package / name, code / name)
        mlflow.pyfunc.save_model(
            path=str(out),
            python_model=str(package / "serving" / "pyfunc.py"),
            artifacts=_artifacts(folder),
            code_paths=[str(code)],
            pip_requirements=requirements(),
            signature=_signature(card["classes"]),
            input_example=pd.DataFrame({"image": [_grey_png(int(card["image_size"]))]}),
            metadata=dict(metadata),
            mlflow_model=mlflow.models.Model(run_id=run_id, model_id=model_id),
        )


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
