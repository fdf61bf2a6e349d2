"""The registered model takes and gives what `mlflow.pyfunc.spark_udf` hands over: pandas, without Spark itself."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from pipeline.registry.register import register_model
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, tracking_uri
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

METRICS = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}
ARROW = {"string": pa.string(), "float": pa.float32(), "boolean": pa.bool_()}


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]) -> Any:
    import mlflow

    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "export")
    with stage_run("register", started=time.time(), params={}, out=None) as run:
        register_model(tmp_path / "export", name="croft", run_id=run.run_id, tags={}, metrics=METRICS)
    before = mlflow.get_tracking_uri()
    with warnings.catch_warnings(action="ignore"):
        mlflow.set_tracking_uri(tracking_uri(tmp_path))
        try:
            yield mlflow.pyfunc.load_model("models:/croft/1")
        finally:
            mlflow.set_tracking_uri(before)


def png(colour: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (9, 9), colour).save(stream, "PNG")
    return stream.getvalue()


def batch(column: pd.Series, names: list[str]) -> pd.DataFrame:
    """As spark_udf makes of the one Series that Spark gives it: under the names of the signature."""
    return pd.DataFrame(data={names[0]: column}, columns=names)


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_batch_gives_the_declared_types(loaded: Any, kind: type) -> None:
    schema, names = loaded.metadata.get_output_schema(), loaded.metadata.get_input_schema().input_names()
    images = [png((255, 0, 0)), b"no image", png((0, 0, 0))]
    column = pd.Series([kind(image) for image in images], dtype=object)
    answer = loaded.predict(batch(column, names), params={"on_error": "report"})
    assert isinstance(answer, pd.DataFrame)
    assert len(answer) == len(column)
    for spec in schema.inputs:
        values = pa.array(answer[spec.name], ARROW[spec.type.name if spec.type.name in ARROW else str(spec.type)])
        assert values.null_count == ({"error": 2}.get(spec.name, 1))
    assert [row if isinstance(row, str) else None for row in answer["label"]] == ["red", None, "unknown"]
    good = loaded.predict(batch(column[[0, 2]], names))
    for spec in schema.inputs:
        if spec.type.name == "float":
            assert good[spec.name].dtype == np.float32  # `select_dtypes` of spark_udf finds it
    assert good["unknown"].dtype == bool


def test_partitions_of_any_size_answer_alike(loaded: Any) -> None:
    names = loaded.metadata.get_input_schema().input_names()
    column = pd.Series([png((50 * row, 255 - 50 * row, 0)) for row in range(5)])
    whole = loaded.predict(batch(column, names))
    parts = [loaded.predict(batch(column[start : start + 2], names)) for start in (0, 2, 4)]
    pd.testing.assert_frame_equal(pd.concat(parts), whole)
    empty = loaded.predict(batch(column[:0], names))
    assert (len(empty), list(empty.columns)) == (0, list(whole.columns))


def test_a_named_series_is_a_batch_too(loaded: Any) -> None:
    images = [png((255, 0, 0)), png((0, 0, 255))]
    assert loaded.predict(pd.Series(images, name="image"))["label"].tolist() == ["red", "blue"]
