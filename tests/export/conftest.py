"""A tiny CLIP vision tower with random weights and the deployed model made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from pipeline.detection.scores.spaces import option_of
from pipeline.export.graph import Deciding, DeployedModel, export_onnx
from pipeline.fits import Head

SIZE, WIDTH, CLASSES = 32, 32, 5
MEAN, STD = (0.48, 0.45, 0.40), (0.27, 0.26, 0.28)
THRESHOLD = -31.0


@dataclass(frozen=True)
class Exported:
    module: DeployedModel
    path: Path
    opset: int


@pytest.fixture(scope="session")
def module() -> DeployedModel:
    from open_clip.transformer import VisionTransformer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        visual = VisionTransformer(
            image_size=SIZE, patch_size=8, width=64, layers=2, heads=2, mlp_ratio=2.0, output_dim=WIDTH
        )
        weight = torch.eye(WIDTH) + 0.1 * torch.randn(WIDTH, WIDTH)
        prototypes = torch.nn.functional.normalize(torch.randn(CLASSES, WIDTH), dim=1)
    head = Head(
        "adapters",
        {"image_weight": weight.numpy(), "prototypes": prototypes.numpy()},
        {"ratio_image": 0.2, "scale": 100.0},
    )
    return DeployedModel(visual, head, mean=MEAN, std=STD, deciding=Deciding(option_of("energy"), threshold=THRESHOLD))


@pytest.fixture(scope="session")
def exported(module: DeployedModel, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    return Exported(module, path, export_onnx(module, SIZE, path, {"classes": '["a"]', "weights_sha256": "0" * 64}))
