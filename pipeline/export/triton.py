"""A model repository for NVIDIA Triton: the graph as it is, and a configuration that says what it takes and gives."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import CheckpointError, DataError
from pipeline.export.folder import copy_graph, new_folder
from pipeline.serving.card import ServingCard, read_card
from pipeline.serving.predictor import CARD_FILE, GRAPH_FILE

if TYPE_CHECKING:
    import onnx

MAX_BATCH = 32
MAX_DELAY = 2000  # microseconds that a batch waits for more images, as in croft serve
CONFIG_FILE, LABELS_FILE = "config.pbtxt", "labels.txt"
_LABELLED = "probabilities"
_TYPES = {"FLOAT": "TYPE_FP32", "UINT8": "TYPE_UINT8", "BOOL": "TYPE_BOOL"}
_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Port:
    """An input or output of a graph: its name, Triton's name of its type, its dimensions without the batch.

    A dimension that is not fixed is -1.
    """

    name: str
    kind: str
    dims: tuple[int, ...]


def write_triton(target: Path, *, name: str, version: str, graph: Path, card: Path) -> Path:
    """Write NAME/config.pbtxt, NAME/labels.txt, NAME/card.json and NAME/VERSION/model.onnx.

    Args:
        target: the repository's folder; new or empty.
        name: of the model in Triton.
        version: a whole number, from 1 on.
        graph, card: files of the exported model; external weights lie beside the graph.
    Returns:
        The model's folder.
    Raises:
        DataError: the folder is not empty, or the name, the version or the card does not fit.
        CheckpointError: the graph is unusable, or its weights are missing.
    """
    if not _NAME.fullmatch(name):
        raise DataError(f"model {name!r}: a folder of Triton has its name; expected letters, digits, '_', '-' and '.'")
    if not re.fullmatch(r"[1-9][0-9]*", version):
        raise DataError(f"version {version!r}: expected a whole number from 1 on")
    facts = read_card(card)
    with new_folder(target) as scratch:
        folder = scratch / name
        copy_graph(graph, folder / version / GRAPH_FILE)
        inputs, outputs = ports(folder / version / GRAPH_FILE)
        _check(graph, facts, inputs, outputs)
        (folder / CONFIG_FILE).write_text(config(name, inputs, outputs), encoding="utf-8")
        (folder / LABELS_FILE).write_text(_labels(card, facts), encoding="utf-8")
        shutil.copyfile(card, folder / CARD_FILE)
    return target / name


def config(name: str, inputs: list[Port], outputs: list[Port]) -> str:
    """The text of config.pbtxt, in the text format of protocol buffers."""
    ports = [
        f"{side} [\n" + ",\n".join(f"  {_port(port)}" for port in group) + "\n]"
        for side, group in (("input", inputs), ("output", outputs))
    ]
    lines = [
        f"name: {json.dumps(name)}",
        'platform: "onnxruntime_onnx"',
        f"max_batch_size: {MAX_BATCH}",
        *ports,
        f"dynamic_batching {{ max_queue_delay_microseconds: {MAX_DELAY} }}",
    ]
    return "\n".join(lines) + "\n"


def _port(port: Port) -> str:
    # Triton has no dimension-free tensors: a number per image is [1] for its clients, and reshaped for the graph.
    dims = ", ".join(map(str, port.dims or (1,)))
    shape = "" if port.dims else " reshape { shape: [ ] }"
    labels = f" label_filename: {json.dumps(LABELS_FILE)}" if port.name == _LABELLED else ""
    return f"{{ name: {json.dumps(port.name)} data_type: {port.kind} dims: [ {dims} ]{shape}{labels} }}"


def ports(graph: Path) -> tuple[list[Port], list[Port]]:
    """Inputs and outputs of a graph with a free batch size.

    Raises:
        CheckpointError: a type is one that Triton does not get here, or the first dimension is fixed.
    """
    import onnx

    proto = onnx.load(str(graph), load_external_data=False)
    inputs, outputs = ([_read(value, graph) for value in side] for side in (proto.graph.input, proto.graph.output))
    return inputs, outputs


def _read(value: onnx.ValueInfoProto, graph: Path) -> Port:
    import onnx

    tensor: Any = value.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
    dims = list(tensor.shape.dim)
    if kind not in _TYPES:
        raise CheckpointError(f"{graph}: {value.name} is of type {kind}; expected one of {', '.join(_TYPES)}")
    if not dims or dims[0].HasField("dim_value"):
        raise CheckpointError(f"{graph}: {value.name} has no free batch size; export the model again")
    return Port(value.name, _TYPES[kind], tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims[1:]))


def _check(graph: Path, card: ServingCard, inputs: list[Port], outputs: list[Port]) -> None:
    square = (card.image_size, card.image_size, 3)
    if [port.dims for port in inputs] != [square]:
        raise DataError(f"{graph}: takes {[port.dims for port in inputs]}; its card says {[square]}")
    widths = [port.dims for port in outputs if port.name == _LABELLED]
    if widths != [(len(card.classes),)]:
        raise DataError(f"{graph}: {_LABELLED} of shape {widths}; its card lists {len(card.classes)} classes")


def _labels(path: Path, card: ServingCard) -> str:
    if broken := [name for name in card.classes if len(name.splitlines()) != 1]:
        raise DataError(f"{path}: classes: {broken[0]!r} is not one line of text, and {LABELS_FILE} has one for each")
    return "".join(f"{name}\n" for name in card.classes)
