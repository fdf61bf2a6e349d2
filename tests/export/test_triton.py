"""Triton's own schema reads the configuration, and it says what ONNX Runtime says of the copied graph."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient
from google.protobuf import text_format
from tiny_model import CLASSES, SIZE, write_tiny_model

from pipeline.errors import CheckpointError, DataError
from pipeline.export.graph import export_onnx
from pipeline.export.triton import write_triton
from pipeline.serving.session import make_session

NUMPY = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32", "tensor(bool)": "TYPE_BOOL"}


def parsed(text: str) -> Any:
    """A `ModelConfig` of the messages that NVIDIA's client ships; the package around them needs gRPC."""
    path = Path(next(iter(tritonclient.__path__))) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    messages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(messages)
    config = text_format.Parse(text, messages.ModelConfig())

    def described(port: Any) -> tuple[str, str, list[int]]:
        # What the backend hands to the graph: the reshaped tensor where there is one.
        dims = port.reshape.shape if port.HasField("reshape") else port.dims
        return port.name, messages.DataType.Name(port.data_type), list(dims)

    return config, [described(port) for port in config.input], [described(port) for port in config.output]


def of_session(session: Any) -> tuple[list[Any], list[Any]]:
    inputs, outputs = (
        [(port.name, NUMPY[port.type], list(port.shape[1:])) for port in side]
        for side in (session.get_inputs(), session.get_outputs())
    )
    return inputs, outputs


def card_for(folder: Path, classes: int, size: int) -> Path:
    card = {"format": 1, "classes": [f"class {row}" for row in range(classes)], "image_size": size, "threshold": -31.0}
    (folder / "card.json").write_text(json.dumps(card))
    return folder / "card.json"


@pytest.mark.parametrize(("embedding", "external_bytes"), [(False, 2**31), (True, 1000)])
def test_the_configuration_is_what_the_graph_takes_and_gives(
    exported, tmp_path: Path, embedding: bool, external_bytes: int
) -> None:
    graph = tmp_path / "export" / "model.onnx"
    export_onnx(
        exported.module, 32, graph, embedding=embedding, external="extras/model.onnx.data",
        external_bytes=external_bytes,
    )  # fmt: skip
    card = card_for(graph.parent, 5, 32)
    folder = write_triton(tmp_path / "repository", name="croft", version="7", graph=graph, card=card)
    copy = folder / "7" / "model.onnx"
    config, inputs, outputs = parsed((folder / "config.pbtxt").read_text())
    session = make_session(copy, "cpu")
    assert (inputs, outputs) == of_session(session)
    assert inputs == [("images", "TYPE_UINT8", [32, 32, 3])]
    assert {name: dims for name, _, dims in outputs}.get("embedding") == ([32] if embedding else None)
    assert (config.name, config.platform, config.max_batch_size) == (folder.name, "onnxruntime_onnx", 32)
    assert config.HasField("dynamic_batching")
    assert all(len(port.dims) >= 1 for port in config.output)  # Triton takes no tensor without dimensions
    assert {port.name: port.label_filename for port in config.output if port.label_filename} == {
        "probabilities": "labels.txt"
    }
    assert (folder / "labels.txt").read_text().splitlines() == [f"class {row}" for row in range(5)]
    assert (folder / "card.json").read_bytes() == card.read_bytes()
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    for copied, original in zip(
        session.run(None, {"images": images}), make_session(graph, "cpu").run(None, {"images": images}), strict=True
    ):
        np.testing.assert_array_equal(copied, original)


def written(tmp_path: Path, name: str = "croft", version: str = "1", source: str = "model") -> Path:
    folder = tmp_path / source
    return write_triton(
        tmp_path / "repository", name=name, version=version, graph=folder / "model.onnx", card=folder / "card.json"
    )


def test_a_folder_with_something_in_it_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model")
    target = tmp_path / "repository"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="repository: not empty; remove it, or name another folder"):
        written(tmp_path)
    assert [path.name for path in target.iterdir()] == ["mine.txt"]
    (target / "mine.txt").unlink()
    assert written(tmp_path) == target / "croft"  # an empty one will do
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "repository"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "../croft"}, "'../croft': a folder of Triton"),
        ({"version": "champion"}, "version 'champion': expected a whole number"),
        ({"source": "other"}, "probabilities of shape .* its card lists 2 classes"),
        ({"source": "lines"}, "is not one line of text"),
    ],
)
def test_what_triton_cannot_hold_is_refused_and_nothing_is_left(
    tmp_path: Path, options: dict[str, str], message: str
) -> None:
    write_tiny_model(tmp_path / "model")
    write_tiny_model(tmp_path / "other", classes=CLASSES[:2])
    write_tiny_model(tmp_path / "lines", classes=("red\nish", *CLASSES[1:]))
    with pytest.raises(DataError, match=message):
        written(tmp_path, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines", "model", "other"]


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/hostname", "missing.bin"])
def test_weights_outside_the_models_folder_are_not_copied(tmp_path: Path, place: str) -> None:
    graph = write_tiny_model(tmp_path / "model") / "model.onnx"
    (tmp_path / "secret.bin").write_bytes(bytes(4))
    proto = onnx.load(str(graph))
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == "threshold")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    graph.write_bytes(proto.SerializeToString())
    with pytest.raises(CheckpointError, match=r"expected a path inside its folder|missing\.bin: no such file"):
        written(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "secret.bin"]


def test_the_command_needs_no_torch(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from pipeline.cli.export import export_model\n"
        "export_model(sys.argv[1], triton=Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model"), str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"Triton: {tmp_path / 'out' / 'croft'} holds version 1\n"
    session = make_session(tmp_path / "out" / "croft" / "1" / "model.onnx", "cpu")
    assert session.get_inputs()[0].shape[1:] == [SIZE, SIZE, 3]
