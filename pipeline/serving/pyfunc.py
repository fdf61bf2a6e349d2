"""The MLflow model: this file itself is what MLflow stores and runs (models from code, no pickle)."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import mlflow.models
import pandas as pd  # MLflow reads the type hints of `predict` while the class is made
from mlflow.pyfunc.model import PythonModel

from pipeline.errors import DataError
from pipeline.serving.predictor import Predictor

GRAPH_ARTIFACT, CARD_ARTIFACT = "graph", "card"
COLUMN = "image"


class CroftModel(PythonModel):
    """Column `image` (encoded bytes, or base64 text) in; label, class, probability, score, unknown and p(class) out."""

    def load_context(self, context: Any) -> None:
        """Load the graph; the environment variable CROFT_DEVICE (auto, cuda or cpu) chooses the device."""
        import os

        artifacts = context.artifacts
        device = os.environ.get("CROFT_DEVICE", "auto")
        self.predictor = Predictor(
            graph=Path(artifacts[GRAPH_ARTIFACT]), card=Path(artifacts[CARD_ARTIFACT]), device=device
        )

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Decide on the images of a table.

        Args:
            context: MLflow's; not used.
            model_input: column `image`.
            params: not used.
        Returns:
            One row per image: label (`unknown` or a class), class (the most probable one), probability (of that class),
            score (larger = more open-set), unknown, and one column `p(name)` per class.
        """
        if COLUMN not in model_input:
            raise DataError(
                f"model input: expected a column {COLUMN!r}, found {', '.join(map(str, model_input.columns))}"
            )
        images = [_bytes(value, number) for number, value in enumerate(model_input[COLUMN])]
        predictions = self.predictor.predict(images)
        table = pd.DataFrame(
            {
                "label": pd.Series(predictions.labels, dtype="object"),
                "class": pd.Series(predictions.most_probable, dtype="object"),
                "probability": predictions.probabilities.max(axis=1, initial=0.0),
                "score": predictions.score,
                "unknown": predictions.unknown,
                **{f"p({name})": predictions.probabilities[:, index] for index, name in enumerate(predictions.classes)},
            }
        )
        return table.set_index(model_input.index)


def _bytes(value: Any, number: int) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, str):
        raise DataError(f"image {number}: expected bytes or base64 text, found {type(value).__name__}")
    text = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"image {number}: not valid base64") from None


mlflow.models.set_model(CroftModel())
