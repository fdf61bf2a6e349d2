"""A registered model loads and predicts where torch is not installed, from SQLite and from a real tracking server."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow_server import mlflow_server
from PIL import Image

from pipeline.registry.package import requirements
from pipeline.registry.register import register_model
from pipeline.serving.predictor import Predictor
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, tracking_uri
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

NAME = "croft"
METRICS = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}

# Runs in a process of its own, outside the project: torch and everything heavy is out of reach there.
LOAD = """
import json, sys, warnings

BLOCKED = {"pipeline", "torch", "torchvision", "open_clip", "onnx", "prefect", "great_expectations"}

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
warnings.simplefilter("ignore")
import base64
import mlflow, pandas
uri, model, inputs = sys.argv[1:4]
mlflow.set_tracking_uri(uri)
loaded = mlflow.pyfunc.load_model(model)
texts = json.load(open(inputs))
from_bytes = loaded.predict(pandas.DataFrame({"image": [base64.b64decode(text) for text in texts]}))
from_text = loaded.predict(pandas.DataFrame({"image": texts}, index=[10 + i for i in range(len(texts))]))
assert list(from_text.index) == [10 + i for i in range(len(texts))]
assert from_text.reset_index(drop=True).equals(from_bytes)
columns = list(from_bytes.columns)
for empty in ({"image": []}, {"image": pandas.Series([], dtype="object")}, {"image": pandas.Series([], dtype="str")}):
    answer = loaded.predict(pandas.DataFrame(empty))
    assert (list(answer.columns), len(answer)) == (columns, 0)
assert from_bytes["error"].isna().all()
good = base64.b64decode(texts[0])
mixed = loaded.predict(pandas.DataFrame({"image": [good, b"no image", "photos/cat.png", good]}))
assert mixed["error"].isna().tolist() == [True, False, False, True]
assert mixed["error"][1].startswith("image 1: not an image of a known format")
assert "send the file's content" in mixed["error"][2]
answers = mixed.drop(columns="error").to_dict("records")
assert [answers[0], answers[3]] == [from_bytes.drop(columns="error").to_dict("records")[0]] * 2
assert not any(value is not None for row in (1, 2) for value in answers[row].values())
try:
    loaded.predict(pandas.DataFrame({"image": [good, b"no image"]}), params={"on_error": "raise"})
except Exception as error:
    assert str(error).startswith("image 1: not an image"), error
else:
    raise AssertionError("on_error: raise did not raise")
example = loaded.predict(loaded.input_example)
from mlflow.pyfunc.scoring_server import infer_and_parse_data
for body in (
    {"dataframe_split": {"columns": ["image"], "data": [[text] for text in texts]}},
    {"dataframe_records": [{"image": text} for text in texts]},
    {"instances": [{"image": text} for text in texts]},
    {"instances": texts},
    {"inputs": {"image": texts}},
):
    rest = loaded.predict(infer_and_parse_data(body, loaded.metadata.get_input_schema()))
    assert rest.equals(from_bytes), body
for body in ({"dataframe_split": {"columns": ["image"], "data": []}}, {"instances": []}, {"inputs": {"image": []}}):
    assert loaded.predict(infer_and_parse_data(body, loaded.metadata.get_input_schema())).shape == (0, len(columns))
import io
from mlflow.pyfunc.scoring_server import predictions_to_json
written = io.StringIO()
predictions_to_json(mixed, written)
json.loads(written.getvalue(), parse_constant=lambda name: 1 / 0)  # NaN is no JSON
code = sys.modules[loaded.metadata.metadata["code"]]
print(json.dumps({
    "rows": from_bytes.to_dict("records"),
    "example": example["label"].tolist(),
    "code": code.__file__,
    "torch": "torch" in sys.modules,
    "outputs": [spec.name for spec in loaded.metadata.get_output_schema()],
}))
"""


@pytest.fixture
def root(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_tiny_model: Callable[..., Path],
    request: pytest.FixtureRequest,
) -> Path:
    """The workspace; its name is the fixture's parameter."""
    folder = tmp_path / getattr(request, "param", "workspace")
    folder.mkdir()
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(folder)
    write_tiny_model(folder / "export")
    return folder


def images(count: int) -> list[bytes]:
    drawn = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (11, 17, 3), dtype=np.uint8)
        pixels[:, :, number % 3] |= 128
        if number == 3:
            pixels //= 3  # dark: its score lies above the threshold
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, format="PNG")
        drawn.append(stream.getvalue())
    return drawn


def register(root: Path) -> str:
    with stage_run("register", started=time.time(), params={"a": 1}, out=root / "register.json") as run:
        run.log(metrics={"accuracy": 0.8}, artifacts=[root / "export" / "card.json"])
        return register_model(root / "export", name=NAME, run_id=run.run_id, tags={}, metrics=METRICS)


def check_load(root: Path, uri: str, model: str) -> None:
    """Load `model` in a process without torch and hold its numbers against the ONNX session of this one."""
    drawn = images(5)
    (root / "inputs.json").write_text(json.dumps([base64.b64encode(one).decode() for one in drawn]))
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", URI_VARIABLE)}
    command = [sys.executable, "-c", LOAD, uri, model, str(root / "inputs.json")]
    done = subprocess.run(
        command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = Predictor(root / "export", device="cpu").predict(drawn)
    assert not found["torch"]
    assert Path(found["code"]).parent.name.startswith("croft_serving_")
    assert [row["label"] for row in found["rows"]] == expected.labels
    assert [row["class"] for row in found["rows"]] == expected.most_probable
    assert [row["unknown"] for row in found["rows"]] == expected.unknown.tolist()
    assert {True, False} == set(expected.unknown.tolist())  # both answers are seen
    np.testing.assert_array_equal(np.float32([row["score"] for row in found["rows"]]), expected.score)
    columns = [f"p({name})" for name in expected.classes]
    table = np.float32([[row[name] for name in columns] for row in found["rows"]])
    np.testing.assert_array_equal(table, expected.probabilities)
    np.testing.assert_array_equal(np.float32([row["probability"] for row in found["rows"]]), table.max(axis=1))
    assert found["outputs"] == ["label", "class", "probability", "score", "unknown", "error", *columns]
    assert found["example"] == ["red"]  # grey: all classes alike, and the first one wins


@pytest.mark.parametrize("root", ["workspace", "ä 🐈 [b] #?%'\"&;"], indirect=True)
def test_loads_without_torch_from_sqlite(root: Path) -> None:
    version = register(root)
    check_load(root, tracking_uri(root), f"models:/{NAME}/{version}")
    stored = root / ".croft" / "mlartifacts" / "models"
    assert not [path for path in stored.rglob("*") if path.suffix == ".pkl"]
    text = next(stored.rglob("MLmodel")).read_text()
    assert "model_id: m-" in text
    assert str(root / "export") not in next(stored.rglob("python_env.yaml")).read_text()


def test_requirements_are_pinned_and_hold_no_torch() -> None:
    names = [line.partition("==")[0] for line in requirements()]
    assert names == ["mlflow", "numpy", "pandas", "pillow", "onnxruntime"]
    assert all(line.partition("==")[2] for line in requirements())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with mlflow_server(tmp_path / "server") as running:
        yield f"http://{running.host}"


@pytest.mark.slow
def test_loads_without_torch_from_a_tracking_server(root: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from pipeline.registry.lineage import lineage
    from pipeline.registry.promotion import promote

    monkeypatch.setenv(URI_VARIABLE, server)
    register(root)
    limits = SimpleNamespace(min_gain_over_zero_shot=0.0)
    assert promote(NAME, limits=limits).passed
    check_load(root, server, f"models:/{NAME}@champion")
    traced = lineage(NAME)
    assert traced["tracking_uri"] == server
    assert traced["run"]["metrics"] == {"accuracy": 0.8}
    assert not (root / ".croft").exists()  # nothing was written beside the server
