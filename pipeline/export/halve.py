"""Some nodes of a graph in half precision, the others untouched."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def halve(proto: onnx.ModelProto, names: Set[str]) -> None:
    """Compute the named nodes in float16, in place; casts stand where the two meet.

    ONNX Runtime's own converter also rounds what float32 nodes take, the threshold among it; here every other constant
    keeps its bits. Inputs and outputs of the graph keep their types.

    Args:
        proto: float32; every node has a name.
        names: of the nodes.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = proto.graph
    if not graph.value_info:
        proto.CopyFrom(onnx.shape_inference.infer_shapes(proto, data_prop=True))
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    floats = {*weights}
    for value in [*graph.value_info, *graph.input, *graph.output]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            floats.add(value.name)
    results = {value.name for value in graph.output}
    halves: dict[str, str] = {}  # float tensor to its half
    only_half: set[str] = set()  # computed in halves, and not yet cast back
    nodes: list[onnx.NodeProto] = []

    def half_of(name: str) -> str:
        if name not in halves:
            halves[name] = f"{name}.half"
            if name in weights:
                array = numpy_helper.to_array(weights[name]).astype(np.float16)
                graph.initializer.append(numpy_helper.from_array(array, halves[name]))
            else:
                nodes.append(_cast(name, halves[name], TensorProto.FLOAT16))
        return halves[name]

    def float_of(name: str) -> str:
        if name in only_half:
            only_half.remove(name)
            nodes.append(_cast(halves[name], name, TensorProto.FLOAT))
        return name

    def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
        return helper.make_node("Cast", [source], [target], name=f"cast.{target}", to=kind)

    for node in list(graph.node):
        if node.name in names:
            inputs = [half_of(name) if name in floats else name for name in node.input]
            outputs = [f"{name}.half" if name in floats else name for name in node.output]
            for name, half in zip(node.output, outputs, strict=True):
                if name in floats:
                    halves[name] = half
                    only_half.add(name)
            changed = helper.make_node(node.op_type, inputs, outputs, name=node.name, domain=node.domain)
            changed.attribute.extend(node.attribute)
            nodes.append(changed)
        else:
            for name in node.input:
                float_of(name)
            nodes.append(node)
    for name in sorted(results):
        float_of(name)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # of types before the casts
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
