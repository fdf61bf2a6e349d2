"""Variants are offered only where their decisions are torch's; a planted fault is refused, and its cell is named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from pipeline.export.decisions import BATCHES, Reference, breaches, cells, reference
from pipeline.export.graph import export_onnx
from pipeline.export.offer import offer
from pipeline.export.save import external_files
from pipeline.export.variants import to_fp16, to_int8, to_static_int8
from pipeline.params.choice import Export, ParityLimits
from pipeline.serving.session import CPU, make_session, open_proven

EXACT = Export().limits("fp32", "cpu")


@pytest.fixture(scope="module")
def truth(exported) -> Reference:
    draw = np.random.default_rng(3)
    files = []
    for number in range(40):
        picture = draw.integers(0, 256, (5, 7, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(picture).resize((40 + number, 50), Image.Resampling.BICUBIC).save(stream, "PNG")
        files.append(stream.getvalue())
    labels = [number % 5 for number in range(30)] + [-1] * 10
    return reference(exported.module, files, labels, size=32, max_pixels=10_000)


def test_the_graph_decides_as_torch_from_the_files_on(exported, truth: Reference) -> None:
    rows = cells("fp32", exported.path, truth, provider="cpu", near=1e-4)
    assert [row["batch"] for row in rows] == list(BATCHES)
    assert list(breaches(rows, EXACT)) == []
    assert all(row["images"] == 30 and abs(row["auroc_change"]) < 0.01 for row in rows)
    assert all(list(row["executed"]) == [CPU] for row in rows)


def test_the_provider_that_ran_is_read_from_the_run_itself(exported) -> None:
    _, nodes = open_proven(exported.path, "cpu")
    assert list(nodes) == [CPU]
    assert nodes[CPU] > 20


def _broken(source: Path, target: Path, fault: str, truth: Reference) -> Path:
    proto = onnx.load(str(source))
    middle = np.median(truth.answers.score[:30])
    for tensor in proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if fault == "threshold" and tensor.name == "threshold":
            tensor.CopyFrom(numpy_helper.from_array(np.float32(middle).reshape(()), tensor.name))
        if fault == "classes" and array.shape == (32, 5):
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(np.roll(array, 1, axis=1)), tensor.name))
        if fault == "channels" and tensor.name == "visual.conv1.weight":
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array[:, ::-1]), tensor.name))
    onnx.save(proto, str(target))
    return target


@pytest.mark.parametrize(
    ("fault", "words"), [("threshold", "unknown_flips"), ("classes", "label_flips"), ("channels", "difference")]
)
def test_a_planted_fault_is_a_breach_that_names_its_cell(
    exported, truth: Reference, tmp_path: Path, fault: str, words: str
) -> None:
    graph = _broken(exported.path, tmp_path / "model.onnx", fault, truth)
    found = list(breaches(cells("fp32", graph, truth, provider="cpu", batches=(7,), near=1e-4), EXACT))
    assert any(text.startswith(f"fp32 on cpu at batch 7: {words} ") for text in found), found


def test_int8_keeps_the_convolution_the_projection_and_the_head_in_float(exported, truth, tmp_path: Path) -> None:
    for number, make in enumerate((to_int8, lambda a, b: to_static_int8(a, b, truth.pixels[:16]))):
        path = tmp_path / f"{number}.onnx"
        make(exported.path, path)
        proto = onnx.load(str(path))
        kept = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
        for name in ("visual.conv1.weight", "visual.proj", "threshold"):
            assert kept[name] == onnx.TensorProto.FLOAT
        assert onnx.TensorProto.INT8 in kept.values()
        assert {item.key: item.value for item in proto.metadata_props}["precision"] == "int8"
        assert path.stat().st_size < 0.6 * exported.path.stat().st_size


def test_fp16_keeps_the_threshold_and_the_head_in_float(exported, tmp_path: Path) -> None:
    to_fp16(exported.path, tmp_path / "half.onnx")
    proto = onnx.load(str(tmp_path / "half.onnx"))
    kept = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    for name in ("visual.conv1.weight", "visual.proj", "threshold", "mean", "std"):
        assert kept[name] == onnx.TensorProto.FLOAT
    assert onnx.TensorProto.FLOAT16 in kept.values()


def test_a_variant_beyond_a_limit_is_not_offered_and_says_why(exported, truth: Reference, tmp_path: Path) -> None:
    strict = Export(parity={"int8": ParityLimits(difference=1e-9)})
    offered, rows = offer(strict, exported.path, tmp_path, truth, provider="cpu")
    assert not offered["int8"]["offered"]
    assert any("static: int8 on cpu at batch 33: difference" in text for text in offered["int8"]["why_not"])
    assert len(rows) == 2 * len(BATCHES)
    assert list(tmp_path.iterdir()) == []
    lenient = Export(parity={"int8": ParityLimits(label_flips=1.0, unknown_flips=1.0, accuracy=1.0)})
    kept, _ = offer(lenient, exported.path, tmp_path, truth, provider="cpu")
    assert kept["int8"]["offered"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.int8.onnx"]


def test_fp16_is_not_offered_without_a_gpu(exported, truth: Reference, tmp_path: Path) -> None:
    offered, rows = offer(Export(variants=("fp16",)), exported.path, tmp_path, truth, provider="cpu")
    assert "fp16 is for GPUs" in offered["fp16"]["why_not"][0]
    assert rows == []


def test_large_weights_go_into_a_second_file_and_the_embedding_out(exported, truth: Reference, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(exported.module, 32, path, embedding=True, external="extras/model.onnx.data", external_bytes=1000)
    assert external_files(path) == ["extras/model.onnx.data"]
    assert path.stat().st_size < (tmp_path / "extras/model.onnx.data").stat().st_size
    found = make_session(path, "cpu").run(["score", "embedding"], {"images": truth.pixels})
    np.testing.assert_allclose(found[0], truth.answers.score, rtol=1e-4)
    assert found[1].shape == (40, 32)
