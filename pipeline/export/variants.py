"""The exported graph in fewer bits: fp16 for GPUs, int8 for CPUs. Whether they may be used, parity decides."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import CheckpointError
from pipeline.export.halve import halve
from pipeline.export.names import EMBEDDING, INPUT
from pipeline.export.save import EXTERNAL_BYTES, save_graph, weight_bytes

if TYPE_CHECKING:
    import numpy as np
    import onnx

FP32, FP16, INT8 = "fp32", "fp16", "int8"
DYNAMIC, STATIC = "dynamic", "static"
PRODUCTS = ("MatMul", "Gemm")
# The patch convolution too: it is a hundredth of the work.
_IN_FLOAT = ("Conv", "LayerNormalization", "Softmax", "ReduceL2", "ReduceLogSumExp")
_ON_PIXELS = ("Cast", "Transpose", "Div", "Sub", "Mul", "Add")
_CALIBRATION_BATCH = 8
_PERCENTILE = 99.99  # of absolute activations; what lies beyond is clipped


def tower_and_head(proto: onnx.ModelProto) -> tuple[set[str], set[str], set[str]]:
    """Names of nodes: those that only prepare pixels, those of the tower, and those that decide.

    The projection to the embedding belongs to the head: it is a small part of the work, and its errors reach every
    logit.

    Raises:
        CheckpointError: the graph has no tensor `embedding`.
    """
    names = {name for node in proto.graph.node for name in node.output}
    if EMBEDDING not in names:
        raise CheckpointError(f"graph: expected a tensor {EMBEDDING!r}, found none; export the model again")
    behind, head = {EMBEDDING}, set()
    for node in proto.graph.node:  # in topological order
        if EMBEDDING in node.output or behind & set(node.input):
            head.add(node.name)
            behind |= set(node.output)
    pixels, before = {INPUT}, set()
    for node in proto.graph.node:
        if node.op_type in _ON_PIXELS and pixels & set(node.input):
            before.add(node.name)
            pixels |= set(node.output)
    return before - head, {node.name for node in proto.graph.node} - before - head, head


def to_fp16(source: Path, target: Path, *, external_bytes: int = EXTERNAL_BYTES) -> None:
    """The tower's weights and products in half precision; pixels, LayerNorm, softmax and the head stay float32.

    Args:
        source: the fp32 graph.
        target: the file to write.
        external_bytes: as in `save_graph`.
    """
    import onnx

    proto = onnx.load(str(source))
    _, tower, _ = tower_and_head(proto)
    halve(proto, {node.name for node in proto.graph.node if node.name in tower and node.op_type not in _IN_FLOAT})
    _save(proto, target, FP16, external_bytes)


def to_int8(source: Path, target: Path, *, external_bytes: int = EXTERNAL_BYTES) -> None:
    """MatMul and Gemm of the tower in int8, weights per channel, activations scaled anew in each call.

    The patch convolution, LayerNorm, softmax, the embedding's projection and the head stay float32.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantise(proto: onnx.ModelProto, out: Path, excluded: list[str]) -> None:
        quantize_dynamic(
            proto, str(out), op_types_to_quantize=list(PRODUCTS), per_channel=True, weight_type=QuantType.QInt8,
            nodes_to_exclude=excluded, use_external_data_format=weight_bytes(proto) >= external_bytes,
            extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip

    _quantised(source, target, quantise, external_bytes)


def to_static_int8(source: Path, target: Path, images: np.ndarray, *, external_bytes: int = EXTERNAL_BYTES) -> None:
    """As `to_int8`, but with activation ranges fixed by a percentile over images: no answer depends on its batch.

    Args:
        source, target, external_bytes: as in `to_fp16`.
        images: (N, S, S, 3) uint8, to calibrate on.
    """
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static as static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            size = min(_CALIBRATION_BATCH, len(images))
            steps = range(0, len(images) - size + 1, size)  # the percentile needs batches of one size
            self.batches = iter([{INPUT: images[start : start + size]} for start in steps])

        def get_next(self) -> Any:
            return next(self.batches, None)

    def quantise(proto: onnx.ModelProto, out: Path, excluded: list[str]) -> None:
        static(
            proto, str(out), Reader(), quant_format=QuantFormat.QDQ, op_types_to_quantize=list(PRODUCTS),
            per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=excluded,
            use_external_data_format=weight_bytes(proto) >= external_bytes,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": _PERCENTILE, "MatMulConstBOnly": True},
        )  # fmt: skip

    _quantised(source, target, quantise, external_bytes)


def _quantised(
    source: Path, target: Path, quantise: Callable[[onnx.ModelProto, Path, list[str]], None], external_bytes: int
) -> None:
    import onnx

    proto = onnx.load(str(source))
    _, _, head = tower_and_head(proto)
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        out = Path(scratch) / "model.onnx"
        quantise(proto, out, sorted(head))
        done = onnx.load(str(out))
    props = {item.key: item.value for item in proto.metadata_props}
    onnx.helper.set_model_props(done, props)
    _save(done, target, INT8, external_bytes)


def _save(proto: onnx.ModelProto, target: Path, precision: str, external_bytes: int) -> None:
    import onnx

    props = {item.key: item.value for item in proto.metadata_props}
    onnx.helper.set_model_props(proto, dict(sorted({**props, "precision": precision}.items())))
    save_graph(proto, target, external_bytes=external_bytes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime advises to optimise the graph first, through the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # calibration prints
            yield
    finally:
        root.setLevel(level)
