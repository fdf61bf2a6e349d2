"""A graph on disk: one file, or with weights beyond protobuf's limit one more."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tables import atomic_path

if TYPE_CHECKING:
    import onnx

EXTERNAL_BYTES = 1_900_000_000  # protobuf's limit is 2 GiB for the whole graph


def save_graph(proto: onnx.ModelProto, path: Path, *, external: str = "", external_bytes: int = EXTERNAL_BYTES) -> None:
    """Check a graph and write it.

    Args:
        proto: its weights are inside; with external weights, it is changed.
        path: the file to write; replaced as a whole.
        external: path of the weights, relative to the graph's folder; `path`.data by default.
        external_bytes: the size from which weights are written there.
    """
    import onnx

    location = external or f"{path.name}.data"
    weights = path.parent / location
    if weight_bytes(proto) < external_bytes:
        onnx.checker.check_model(proto, full_check=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(proto.SerializeToString(deterministic=True))
        weights.unlink(missing_ok=True)  # of an earlier export
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # The graph names its weights' file, so both are written under their own names, in a folder beside their place.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        written = Path(scratch) / path.name
        (Path(scratch) / location).parent.mkdir(parents=True, exist_ok=True)
        onnx.external_data_helper.convert_model_to_external_data(
            proto, all_tensors_to_one_file=True, location=location, size_threshold=1024
        )
        onnx.save_model(proto, str(written))
        onnx.checker.check_model(str(written), full_check=False)
        for name in (path.name, location):
            with (Path(scratch) / name).open("rb") as file:
                os.fsync(file.fileno())
        weights.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # an old graph must not meet new weights, and no graph is there without its own
        (Path(scratch) / location).replace(weights)
        written.replace(path)


def weight_bytes(proto: onnx.ModelProto) -> int:
    """Size of the weights inside a graph."""
    return sum(len(tensor.raw_data) for tensor in proto.graph.initializer)


def external_files(path: Path) -> list[str]:
    """Paths of a graph's external weights, relative to its folder."""
    import onnx

    proto = onnx.load(str(path), load_external_data=False)
    places = {
        entry.value
        for tensor in proto.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sorted(places)
