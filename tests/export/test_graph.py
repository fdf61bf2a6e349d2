"""The deployed model against the formula of the paper in numpy, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_disk import small_disk

import pipeline
from pipeline.detection.scores.spaces import option_of
from pipeline.errors import CheckpointError
from pipeline.export.graph import OPSET, Deciding, DeployedModel, export_onnx
from pipeline.export.names import INPUT, OUTPUTS
from pipeline.export.parity import compare
from pipeline.fits import Head
from pipeline.storage import explain

ENERGY = option_of("energy")


def images(count: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / (np.linalg.norm(rows, axis=-1, keepdims=True) + 1e-6)


def test_decision_is_the_adapter_formula(module: DeployedModel) -> None:
    features = np.random.default_rng(1).normal(size=(6, 32))
    weight, text = module.image_weight.double().numpy(), module.prototypes.double().numpy()
    # z_I = n(r f W^T + (1 - r) f); logits = s z_I z_T^T; score = -logsumexp (the text rows are normalised already)
    logits = 100.0 * unit(0.2 * features @ weight.T + 0.8 * features) @ text.T
    largest = logits.max(axis=1, keepdims=True)
    total = np.exp(logits - largest).sum(axis=1)
    probabilities, score = module.decide(torch.tensor(features))
    np.testing.assert_allclose(probabilities.numpy(), np.exp(logits - largest) / total[:, None], atol=2e-5)
    np.testing.assert_allclose(score.numpy(), -(np.log(total) + largest[:, 0]), rtol=1e-5)


def test_pixels_reach_the_tower_as_torchvision_would_bring_them(module: DeployedModel) -> None:
    from torchvision.transforms.functional import normalize, to_tensor

    batch = images(4)
    mean, std = module.mean.flatten().tolist(), module.std.flatten().tolist()
    pixels = torch.stack([normalize(to_tensor(one), mean, std) for one in batch])
    with torch.no_grad():
        expected = module.decide(module.visual(pixels))
        found = module(torch.from_numpy(batch))
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1], expected[1], atol=1e-4, rtol=0)
    assert torch.equal(found[2], found[1] > module.threshold)


def test_file_is_checked_and_has_a_free_batch(exported) -> None:
    model = onnx.load(str(exported.path))
    onnx.checker.check_model(model, full_check=True)
    assert exported.opset == OPSET
    assert [item.name for item in model.graph.input] == [INPUT]
    assert [item.name for item in model.graph.output] == list(OUTPUTS)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in shape] == ["batch", 32, 32, 3]
    assert {item.key: item.value for item in model.metadata_props} == {
        "classes": '["a"]',
        "weights_sha256": "0" * 64,
    }
    assert [path.name for path in exported.path.parent.iterdir()] == ["model.onnx"]  # no second file, no leftovers


def test_same_model_gives_the_same_bytes_without_paths(exported, tmp_path: Path) -> None:
    again = tmp_path / "again.onnx"
    export_onnx(exported.module, 32, again, {"weights_sha256": "0" * 64, "classes": '["a"]'})
    content = again.read_bytes()
    assert content == exported.path.read_bytes()
    assert str(Path(pipeline.__file__).parents[1]).encode() not in content
    assert b"site-packages" not in content


def test_a_graph_too_large_for_one_file_has_its_weights_beside_it(exported, tmp_path: Path) -> None:
    for _ in range(2):  # the second replaces both
        export_onnx(exported.module, 32, tmp_path / "model.onnx", external_bytes=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    batch = images(3)
    expected, found = (
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {INPUT: batch})
        for path in (exported.path, tmp_path / "model.onnx")
    )
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_full_disk_keeps_the_graph_that_was_there(exported, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        for limit in (0, 2**31):  # weights in a file of their own, or in the graph
            folder = disk.folder / str(limit)
            export_onnx(exported.module, 32, folder / "model.onnx", external_bytes=limit)
            before = {path.name: path.read_bytes() for path in folder.iterdir()}
            disk.fill(leave=16384)
            with pytest.raises(Exception, match=r".") as caught:
                export_onnx(exported.module, 32, folder / "model.onnx", external_bytes=limit)
            assert "no space left" in explain(caught.value)
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
            disk.free()


def test_a_tower_that_cannot_be_traced_is_an_error_and_leaves_no_file(module: DeployedModel, tmp_path: Path) -> None:
    class Chooses(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.flatten(1)[:, :32] * (1.0 if pixels.sum().item() > 0 else 2.0)

    head = Head("zero-shot", {"prototypes": module.prototypes.numpy()}, {"scale": 100.0})
    broken = DeployedModel(Chooses(), head, mean=(0.0,) * 3, std=(1.0,) * 3, deciding=Deciding(ENERGY))
    with pytest.raises(CheckpointError, match="Chooses: cannot be exported to ONNX"):
        export_onnx(broken, 32, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_do_not_fit_are_refused() -> None:
    head = Head(
        "adapters",
        {"image_weight": np.eye(4, dtype=np.float32), "prototypes": np.zeros((3, 5), np.float32)},
        {"ratio_image": 0.2, "scale": 1.0},
    )
    with pytest.raises(CheckpointError, match=r"\(4, 4\).*\(3, 5\)"):
        DeployedModel(torch.nn.Identity(), head, mean=(0.0,) * 3, std=(1.0,) * 3, deciding=Deciding(ENERGY))


HEADS = {
    "zero-shot": ({"prototypes": (5, 32)}, {}),
    "linear-probe": ({"weight": (5, 32), "bias": (5,)}, {}),
    "clip-adapter": ({"down": (8, 32), "up": (32, 8), "prototypes": (5, 32)}, {"ratio_image": 0.2}),
    "coop": ({"prototypes": (5, 32)}, {}),
    "tip-adapter": (
        {"keys": (11, 32), "values": (11, 5), "prototypes": (5, 32)},
        {"alpha": 1.5, "beta": 5.5},
    ),
}


@pytest.mark.parametrize("kind", HEADS)
def test_every_kind_of_head_is_exported_and_agrees_with_torch(kind: str, module: DeployedModel, tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    shapes, scalars = HEADS[kind]
    arrays = {name: source.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["left_over"] = np.zeros((3, 3), np.float32)  # kept for diagnostics only; no part of the graph
    head = Head(kind, arrays, {**scalars, "scale": 10.0})
    other = DeployedModel(
        module.visual, head, mean=(0.5,) * 3, std=(0.3,) * 3, deciding=Deciding(ENERGY, threshold=-3.0)
    )
    path = tmp_path / "model.onnx"
    export_onnx(other, 32, path)
    result = compare(other, path, images(9), tolerance=1e-4)
    assert result["passed"], result
    assert "left_over" not in {item.name for item in onnx.load(str(path)).graph.initializer}
    assert "left_over" not in dict(other.named_buffers())
