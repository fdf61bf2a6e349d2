"""Open-set scores against hand numbers and an independent implementation."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from pipeline.detection.scores import energy, max_softmax


def test_energy_by_hand() -> None:
    # logsumexp(0, 0) = log 2; logsumexp(log 3, log 5) = log 8.
    logits = torch.tensor([[0.0, 0.0], [math.log(3), math.log(5)]])
    torch.testing.assert_close(energy(logits), torch.tensor([-math.log(2), -math.log(8)]))


def test_max_softmax_by_hand() -> None:
    # Odds 3 : 5 give 5/8; four equal logits give 1/4.
    torch.testing.assert_close(max_softmax(torch.tensor([[math.log(3), math.log(5)]])), torch.tensor([-5 / 8]))
    torch.testing.assert_close(max_softmax(torch.full((1, 4), 9.0)), torch.tensor([-1 / 4]))


def test_equals_pytorch_ood() -> None:
    from pytorch_ood.detector import EnergyBased, MaxSoftmax

    logits = torch.randn(64, 7, generator=torch.Generator().manual_seed(0)) * 20
    torch.testing.assert_close(energy(logits), EnergyBased.score(logits, t=1.0))
    torch.testing.assert_close(max_softmax(logits), MaxSoftmax.score(logits))


@pytest.mark.parametrize("score", [energy, max_softmax])
def test_surer_logits_score_lower(score) -> None:
    sure, unsure = torch.tensor([[30.0, 5.0, 5.0]]), torch.tensor([[12.0, 11.0, 11.5]])
    assert score(sure).item() < score(unsure).item()


@pytest.mark.parametrize("score", [energy, max_softmax])
def test_half_precision_is_computed_in_float32(score) -> None:
    logits = torch.tensor([[90.0, 100.0, 65000.0]], dtype=torch.float16)  # exp would overflow float16
    result = score(logits)
    assert result.dtype == torch.float32
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("score", [energy, max_softmax])
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (3, 0)])
def test_refuses_other_shapes(score, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="logits must be"):
        score(torch.zeros(shape))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_exports_to_onnx_with_a_free_batch(tmp_path: Path) -> None:
    import onnxruntime

    class Scores(torch.nn.Module):
        def forward(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return energy(logits), max_softmax(logits)

    file = tmp_path / "scores.onnx"
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        Scores(), (torch.randn(2, 5),), str(file), dynamo=True, dynamic_shapes=({0: batch},), verbose=False
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    logits = 20 * torch.randn(9, 5, generator=torch.Generator().manual_seed(1))
    found = session.run(None, {session.get_inputs()[0].name: logits.numpy()})
    for values, expected in zip(found, (energy(logits), max_softmax(logits)), strict=True):
        torch.testing.assert_close(torch.from_numpy(values), expected, rtol=1e-5, atol=1e-5)
