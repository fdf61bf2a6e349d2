"""A registered model brings its own code under a name of its own, which holds a hash of that code."""

from __future__ import annotations

import ast
import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image
from ports import free_port

import pipeline
from pipeline.errors import DataError
from pipeline.registry.code import renamed_imports, shipped_code
from pipeline.registry.package import save_package

SOURCES = Path(pipeline.__file__).parent
SIDE_BY_SIDE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pipeline
import mlflow, pandas
table = pandas.DataFrame({"image": [open("dark.png", "rb").read()]})
models = [mlflow.pyfunc.load_model(path) for path in sys.argv[1:]]
print(json.dumps([model.predict(table)["label"].item() for model in [*models, *reversed(models)]]))
assert pipeline.OWN == "mine"
"""
EVALUATE = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow, pandas
mlflow.set_tracking_uri("sqlite:///evaluated.db")
green = open("green.png", "rb").read()
table = pandas.DataFrame({"image": [green, green, green, green], "class": ["green", "green", "green", "red"]})
def predict(images):
    return mlflow.pyfunc.load_model(sys.argv[1]).predict(images)["class"]
with mlflow.start_run():
    result = mlflow.models.evaluate(
        predict, table, targets="class", model_type="classifier", evaluators=["default"],
        evaluator_config={"default": {"log_explainer": False, "log_model_explainability": False}},
    )
print(result.metrics["accuracy_score"])
"""


def png(folder: Path, name: str, colour: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(stream, format="PNG")
    (folder / name).write_bytes(stream.getvalue())
    return stream.getvalue()


def run(script: str, *arguments: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=cwd, env=environment, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def save(folder: Path, out: Path, sources: Path | None = None) -> Path:
    known = set(sys.modules)
    save_package(folder, out, run_id="0" * 32, model_id="m-1", metadata={"method": "croft"}, sources=sources)
    assert not {name for name in set(sys.modules) - known if name.startswith("croft_serving_")}
    return out


def imports(source: str) -> set[str]:
    """First names of all that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


def test_the_shipped_code_imports_itself_by_its_own_name_only() -> None:
    code = shipped_code()
    everything = {**code.files, "pyfunc.py": code.model}
    assert not {name for name, source in everything.items() if "pipeline" in imports(source)}
    assert code.package in imports(code.model)
    assert {"__init__.py", "errors.py", "serving/predictor.py", "images/decode.py"} <= set(code.files)
    assert not {name for name in code.files if name.startswith(("training", "registry", "backbone", "tracking"))}
    for name, source in code.files.items():  # nothing but the imports has changed
        assert source.replace(code.package, "pipeline") == (SOURCES / name).read_text()


def test_other_code_has_another_name(tmp_path: Path) -> None:
    copy = tmp_path / "pipeline"
    shutil.copytree(SOURCES, copy)
    assert shipped_code(copy).package == shipped_code().package
    (copy / "report" / "wording.py").write_text("")  # is not shipped
    assert shipped_code(copy).package == shipped_code().package
    with (copy / "images" / "png.py").open("a") as file:
        file.write("# a comment\n")
    assert shipped_code(copy).package != shipped_code().package


def test_imports_are_renamed_and_texts_are_not() -> None:
    source = (
        '"""é from pipeline.errors import DataError"""\n'
        "def f():\n    from pipeline.images import (\n        a,\n    )\n"
        'x = "é"; from  pipeline import errors\nfrom pipelines.a import b\nimport pipelines\n'
    )
    assert renamed_imports(source, "own") == (
        '"""é from pipeline.errors import DataError"""\n'
        "def f():\n    from own.images import (\n        a,\n    )\n"
        'x = "é"; from  own import errors\nfrom pipelines.a import b\nimport pipelines\n'
    )
    for refused in (
        "import pipeline.errors",
        "import os, pipeline",
        "from . import errors",
        "from \\\n pipeline import a",
    ):
        with pytest.raises(ValueError, match=r"^a\.py:1: expected `from pipeline"):
            renamed_imports(refused, "own", "a.py")


def test_two_versions_with_different_code_and_a_foreign_pipeline(
    tmp_path: Path, write_tiny_model: Callable[..., Path]
) -> None:
    export = write_tiny_model(tmp_path / "export")
    copy = tmp_path / "changed" / "pipeline"
    shutil.copytree(SOURCES, copy)
    predictor = copy / "serving" / "predictor.py"
    text = predictor.read_text()
    assert '\nUNKNOWN = "unknown"\n' in text
    predictor.write_text(text.replace('\nUNKNOWN = "unknown"\n', '\nUNKNOWN = "nobody"\n'))
    models = [str(save(export, tmp_path / "a")), str(save(export, tmp_path / "b", copy))]

    (tmp_path / "pipeline.py").write_text("OWN = 'mine'\n")
    png(tmp_path, "dark.png", (5, 5, 5))  # above the threshold: no class
    assert json.loads(run(SIDE_BY_SIDE, *models, cwd=tmp_path)) == ["unknown", "nobody", "nobody", "unknown"]


def test_what_a_model_says_of_itself(tmp_path: Path, write_tiny_model: Callable[..., Path]) -> None:
    export = write_tiny_model(tmp_path / "export")
    (export / "extras").mkdir()
    (export / "extras" / "model.onnx.data").write_bytes(b"weights")  # as of a graph beyond two gigabytes
    out = save(export, tmp_path / "out")
    assert str(tmp_path) not in (out / "MLmodel").read_text()
    described = yaml.safe_load((out / "MLmodel").read_text())
    assert described["metadata"] == {"method": "croft", "code": shipped_code().package}
    assert [entry["name"] for entry in json.loads(described["signature"]["inputs"])] == ["image"]
    assert "label" in [entry["name"] for entry in json.loads(described["signature"]["outputs"])]
    assert (out / described["saved_input_example_info"]["artifact_path"]).is_file()
    assert (out / "requirements.txt").read_text().splitlines()[0].startswith("mlflow==")
    artifacts = described["flavors"]["python_function"]["artifacts"]
    for name, file in {"graph": "model.onnx", "card": "card.json", "extras": "extras"}.items():
        assert out / artifacts[name]["path"] == out / "artifacts" / file  # the graph names its weights' file
    for file in ("model.onnx", "card.json", "extras/model.onnx.data"):
        assert (out / "artifacts" / file).read_bytes() == (export / file).read_bytes()


@pytest.mark.parametrize("name", ["model.onnx", "card.json"])
def test_a_missing_file_is_named(name: str, tmp_path: Path, write_tiny_model: Callable[..., Path]) -> None:
    export = write_tiny_model(tmp_path / "export")
    (export / name).unlink()
    with pytest.raises(DataError, match=rf"/export/{name}: no such file; export the model again: croft run export$"):
        save(export, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_mlflow_evaluates_it(tmp_path: Path, write_tiny_model: Callable[..., Path]) -> None:
    model = save(write_tiny_model(tmp_path / "export"), tmp_path / "model")
    png(tmp_path, "green.png", (10, 250, 10))
    assert float(run(EVALUATE, str(model), cwd=tmp_path)) == 0.75


@pytest.mark.slow
def test_mlflow_serves_it_beside_a_foreign_pipeline(tmp_path: Path, write_tiny_model: Callable[..., Path]) -> None:
    model = save(write_tiny_model(tmp_path / "export"), tmp_path / "model")
    (tmp_path / "pipeline.py").write_text("OWN = 'mine'\n")
    text = b64encode(png(tmp_path, "green.png", (10, 250, 10))).decode()
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # of the active environment; MLflow starts uvicorn
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], cwd=tmp_path, stdout=log, stderr=log,
            start_new_session=True, env={**os.environ, "PYTHONPATH": str(tmp_path), "PATH": search},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 240
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail((tmp_path / "log").read_text()[-3000:])
                time.sleep(0.5)
        body = json.dumps({"dataframe_records": [{"image": text}, {"image": "no image"}]}).encode()
        calls = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        calls.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        first, second = json.load(calls.getresponse())["predictions"]
        calls.close()
        assert (first["label"], first["error"]) == ("green", None)
        assert (second["label"], "send the file's content" in second["error"]) == (None, True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)
