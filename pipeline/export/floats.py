"""The exported graph from normalised pixels on, as libraries want it that prepare images themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import CheckpointError
from pipeline.export.names import INPUT, PROBABILITIES
from pipeline.export.variants import tower_and_head

if TYPE_CHECKING:
    import numpy as np
    import onnx

PIXELS, LOGITS = "pixel_values", "logits"
_TOLERANCE = 1e-4  # of probabilities, and of scores relative to their size
_IMAGES = 4


def float_graph(proto: onnx.ModelProto, size: int) -> onnx.ModelProto:
    """Cut a graph where its pixels are ready.

    Args:
        proto: takes uint8 images (batch, S, S, 3); unchanged. A graph in fewer bits will do.
        size: side S.
    Returns:
        A graph that takes `pixel_values` (batch, 3, S, S) float32, normalised, and gives `logits` (batch, C): what the
        softmax takes, so divided by the temperature. `score`, `unknown` and `embedding` are as before.
    Raises:
        CheckpointError: the graph is not one that this project exports.
    """
    import onnx
    from onnx import TensorProto, helper

    done = onnx.ModelProto()
    done.CopyFrom(proto)
    graph = done.graph
    before, _, _ = tower_and_head(done)
    ready = {INPUT} | {name for node in graph.node if node.name in before for name in node.output}
    nodes = [node for node in graph.node if node.name not in before]
    _check_batch_only(nodes, ready)
    entries = {name for node in nodes if node.op_type != "Shape" for name in node.input if name in ready}
    if len(entries) != 1:
        raise CheckpointError(
            f"graph: expected one tensor of pixels that the tower takes, found {len(entries)}; export the model again"
        )
    softmax = [node for node in nodes if PROBABILITIES in node.output and node.op_type == "Softmax"]
    if not softmax:
        raise CheckpointError(f"graph: {PROBABILITIES} is not what a Softmax gives; export the model again")
    # A shape is asked for the batch size alone, which all these tensors share.
    renamed = dict.fromkeys(ready, PIXELS) | {softmax[0].input[0]: LOGITS}
    taken = {name for node in nodes for name in node.output} - renamed.keys()
    renamed |= {name: f"{name}_inside" for name in (PIXELS, LOGITS) if name in taken}
    for node in nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    classes = next(
        output.type.tensor_type.shape.dim[1].dim_value for output in graph.output if output.name == PROBABILITIES
    )
    outputs = [
        helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["batch", classes]),
        *(output for output in graph.output if output.name != PROBABILITIES),
    ]
    needed = _needed(nodes, {output.name for output in outputs})
    read = {name for node in needed for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    cut = helper.make_graph(
        needed,
        graph.name,
        [helper.make_tensor_value_info(PIXELS, TensorProto.FLOAT, ["batch", 3, size, size])],
        outputs,
        constants,
    )
    done.graph.CopyFrom(cut)
    return done


def _check_batch_only(nodes: Sequence[onnx.NodeProto], ready: set[str]) -> None:
    for node in nodes:
        if node.op_type == "Shape" and ready & set(node.input):
            span = {attribute.name: attribute.i for attribute in node.attribute}
            if span != {"start": 0, "end": 1}:
                raise CheckpointError(f"graph: {node.name} reads more of the images' shape than the batch size")


def _needed(nodes: Sequence[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    wanted, kept = set(outputs), []
    for node in reversed(nodes):  # in topological order
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]


def check_float_graph(path: Path, original: Path, *, size: int, mean: Sequence[float], std: Sequence[float]) -> None:
    """Refuse a cut graph that answers otherwise than the one it was cut from, on random images.

    Args:
        path, original: the cut graph, and the one that takes uint8.
        size, mean, std: how the pixels are to be prepared for it.
    Raises:
        CheckpointError: naming the largest difference.
    """
    import numpy as np

    from pipeline.serving.session import make_session

    images = np.random.default_rng(0).integers(0, 256, (_IMAGES, size, size, 3), dtype=np.uint8)
    names = [PROBABILITIES, "score"]
    expected, score = make_session(original, "cpu").run(names, {INPUT: images})
    try:
        logits, found = make_session(path, "cpu").run(
            [LOGITS, "score"], {PIXELS: normalised(images, mean=mean, std=std)}
        )
    except CheckpointError:
        raise
    except Exception as error:  # onnxruntime's own exception types share no public base
        raise CheckpointError(f"{path}: the graph cannot run: {' '.join(str(error).split())[:200]}") from None
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    off = max(
        float(np.abs(powers / powers.sum(axis=1, keepdims=True) - expected).max()),
        float((np.abs(found - score) / np.maximum(1, np.abs(score))).max()),
    )
    if not off <= _TOLERANCE:
        raise CheckpointError(
            f"{original}: with pixels that were prepared as its card says, the answers differ by {off:.2g}; expected "
            f"at most {_TOLERANCE:g}; export the model again"
        )


def normalised(images: np.ndarray, *, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """(B, 3, S, S) float32 of images (B, S, S, 3) uint8: pixels in [0, 1], less the mean, by the standard deviation."""
    import numpy as np

    middle, spread = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (mean, std))
    return np.asarray((images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255) - middle) / spread)
