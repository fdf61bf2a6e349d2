"""A graph and a card of the deployed kind, small enough to be computed by hand: the mean colour decides."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 8
CLASSES = ("red", "green", "blue")
SCALE = 20.0
THRESHOLD = -10.5


def write_tiny_model(folder: Path, *, threshold: float = THRESHOLD, classes: tuple[str, ...] = CLASSES) -> Path:
    """logits = 20 * mean colour in [0, 1]; score = -logsumexp; unknown when score > threshold."""
    folder.mkdir(parents=True, exist_ok=True)
    constants = {
        "axes": np.array([1, 2], np.int64),
        "last": np.array([1], np.int64),
        "factor": np.array(SCALE / 255.0, np.float32),
        "threshold": np.array(threshold, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),  # (B, 3)
        helper.make_node("Mul", ["mean", "factor"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ReduceLogSumExp", ["logits", "last"], ["free"], keepdims=0),
        helper.make_node("Neg", ["free"], ["score"]),
        helper.make_node("Greater", ["score", "threshold"], ["unknown"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"]),
            helper.make_tensor_value_info("unknown", TensorProto.BOOL, ["batch"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(folder / "model.onnx"))
    card = {
        "format": 1,
        "classes": list(classes),
        "image_size": SIZE,
        "threshold": threshold,
        "method": "croft",
        "backbone": "tiny",
        "targets": ["ink", "chalk"],
        "known_classes": 2,
        "sha256": {"manifest": "m" * 64},
    }
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "parity.json").write_text(json.dumps({"passed": True}))
    return folder
