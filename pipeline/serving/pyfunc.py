"""The MLflow model: this file itself is what MLflow stores and runs (models from code, no pickle)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow.models
import pandas as pd  # MLflow reads the type hints of `predict` while the class is made
from mlflow.pyfunc.model import PythonModel

from pipeline.errors import DataError
from pipeline.serving.predictor import RAISE, REPORT, Predictor, check_on_error
from pipeline.serving.request import image_bytes

GRAPH_ARTIFACT, CARD_ARTIFACT = "graph", "card"
COLUMN = "image"


class CroftModel(PythonModel):
    """Column `image` (encoded bytes, or base64 text) in; one row of label, probabilities and more per image out."""

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
            params: on_error: report (by default: a bad image has an error, the others their answers) or raise.
        Returns:
            One row per image: label (`unknown` or a class), class (the most probable one), probability (of that class),
            score (larger = more open-set), unknown, error (None, or why there is no answer; then all other columns are
            None, which JSON can hold and NaN cannot), and one column `p(name)` per class.
        Raises:
            DataError: there is no column `image`; or, with raise, the first bad image.
        """
        on_error = (params or {}).get("on_error", REPORT)
        check_on_error(on_error)
        values, row_names = _rows(model_input)
        images, unusable = _contents(values, strict=on_error == RAISE)
        predictions = self.predictor.predict(images, on_error)
        errors = [unusable.get(row) or error or None for row, error in enumerate(predictions.errors)]
        table = pd.DataFrame(
            {
                "label": pd.Series(predictions.labels, dtype="object"),
                "class": pd.Series(predictions.most_probable, dtype="object"),
                "probability": predictions.probabilities.max(axis=1, initial=0.0),
                "score": predictions.score,
                "unknown": predictions.unknown,
                "error": pd.Series(errors, dtype="object"),
                **{f"p({name})": predictions.probabilities[:, index] for index, name in enumerate(predictions.classes)},
            }
        )
        if any(errors):
            answered = table["error"].isna()
            for column in table.columns.drop("error"):
                table[column] = table[column].astype(object).where(answered, None)
        return table.set_index(row_names)


def _rows(model_input: pd.DataFrame) -> tuple[list[Any], pd.Index]:
    if COLUMN not in model_input:
        raise DataError(
            f"model input: expected a column {COLUMN!r}, found {', '.join(map(str, model_input.columns)) or 'none'}"
        )
    values = list(model_input[COLUMN])
    if len(values) == 1 and isinstance(values[0], list):
        values = list(values[0])  # `instances` and `inputs` of a request come as one list
        return values, pd.RangeIndex(len(values))
    return values, model_input.index


def _contents(values: Sequence[Any], *, strict: bool) -> tuple[list[bytes], dict[int, str]]:
    """The encoded images, b"" where a value holds none, and row to what is wrong there; strict raises the first."""
    images, problems = list[bytes](), dict[int, str]()
    for row, value in enumerate(values):
        try:
            images.append(image_bytes(value, f"image {row}"))
        except DataError as error:
            if strict:
                raise
            images.append(b"")
            problems[row] = str(error)
    return images, problems


mlflow.models.set_model(CroftModel())
