"""Every open-set score inside the exported graph, against what evaluation computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from heads import adapters_head

from pipeline.decision.fit import FitView, Limits
from pipeline.detection.scores.spaces import option_of
from pipeline.export.deploy import deploy
from pipeline.export.graph import export_onnx
from pipeline.export.publish import write_statistics
from pipeline.features import Features
from pipeline.fits import Fits
from pipeline.serving.session import make_session
from pipeline.tables import DEPLOY, TRAIN, VALIDATION

SIDE, WIDTH, CLASSES = 4, 12, ("a", "b", "c")
SPLIT = [TRAIN] * 8 + [VALIDATION] * 20


class Tower(torch.nn.Module):
    """A linear map of pixels."""

    def __init__(self) -> None:
        super().__init__()
        weight = np.random.default_rng(1).normal(size=(3 * SIDE * SIDE, WIDTH))
        self.register_buffer("weight", torch.tensor(weight, dtype=torch.float32))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flatten(1) @ self.weight


def world() -> tuple[np.ndarray, Features, Fits, pd.DataFrame]:
    """Pictures, their features, one fit and its split."""
    draw = np.random.default_rng(0)
    centres = draw.integers(0, 256, (len(CLASSES), SIDE, SIDE, 3))
    labels = np.repeat(np.arange(len(CLASSES)), len(SPLIT))
    pictures = np.clip(centres[labels] + 150 * draw.normal(size=(len(labels), SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    raw = Tower()(torch.tensor(pictures).permute(0, 3, 1, 2).float() / 255).numpy()
    text = raw.reshape(len(CLASSES), len(SPLIT), WIDTH).mean(1) + 2.0 * draw.normal(size=(len(CLASSES), WIDTH))
    paths = [f"{row}.png" for row in range(len(labels))]
    meta = {"classes": list(CLASSES), "mean": [0.0] * 3, "std": [1.0] * 3, "logit_scale": 10.0}
    index = pd.DataFrame({"path": paths, "view_row": -1})
    features = Features(index, raw, raw[:, None], text.astype(np.float32), meta)
    weight = np.eye(WIDTH) + 0.2 * draw.normal(size=(WIDTH, WIDTH))
    head = adapters_head(weight, weight, text, ratio_image=0.5, ratio_text=0.5, scale=10.0)
    table = pd.DataFrame([{"fit": 0, "method": "m", "target": DEPLOY, "seed": 1, "diverged": False}])
    split = pd.DataFrame(
        {
            "target": DEPLOY, "seed": 1, "path": paths, "role": SPLIT * len(CLASSES),
            "class": [CLASSES[label] for label in labels], "label": labels, "open_set": "",
        }
    )  # fmt: skip
    return pictures, features, Fits(table, {0: head}, pd.DataFrame()), split


@pytest.mark.parametrize("name", ["entropy", "energy@zero-shot", "gen@both", "knn", "relative-mahalanobis", "vim"])
def test_the_graph_scores_as_evaluation_does(name: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    pictures, features, fits, split = world()
    option = option_of(name)
    model, _, calibration = deploy(Tower(), features, fits, split, method="m", option=option, limits=Limits(0.9))
    export_onnx(model, SIDE, tmp_path / "model.onnx")
    probabilities, score, unknown = make_session(tmp_path / "model.onnx", "cpu").run(None, {"images": pictures})
    view = FitView(fits.heads[0], features, split, CLASSES)
    expected = view.answers(features.clean_rows(split["path"]), [option], calibration.temperature)
    np.testing.assert_allclose(score, expected[name], rtol=2e-4, atol=1e-3)
    np.testing.assert_array_equal(probabilities.argmax(1), expected["predicted"])
    np.testing.assert_allclose(probabilities.max(1), expected["confidence"], rtol=1e-4)
    inside = (split["role"] == VALIDATION).to_numpy()
    assert calibration.accepted >= 0.9
    assert calibration.accepted == pytest.approx(
        (~unknown[inside]).mean(), abs=1.01 / inside.sum()
    )  # the image that sets it
    assert calibration.temperature != 1.0  # 60 validation images are enough
    write_statistics(model, tmp_path / "score.safetensors", {"score": name})
    arrays = load_file(tmp_path / "score.safetensors")
    assert {key: array.shape for key, array in arrays.items()} == {
        key: tuple(array.shape) for key, array in view.statistics(option).items()
    }
