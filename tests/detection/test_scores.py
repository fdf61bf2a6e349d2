"""Open-set scores of logits against hand numbers and an independent implementation."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pipeline.detection.scores.cosine import max_concept_matching, max_cosine
from pipeline.detection.scores.energy import energy, energy_change
from pipeline.detection.scores.softmax import entropy, generalised_entropy, max_logit, max_softmax

OF_LOGITS = [energy, energy_change, entropy, generalised_entropy, max_logit, max_softmax]
ODDS = torch.tensor([[math.log(3), math.log(5)]])  # probabilities 3/8 and 5/8


def test_energy_by_hand() -> None:
    # logsumexp(0, 0) = log 2; logsumexp(log 3, log 5) = log 8.
    logits = torch.cat([torch.zeros(1, 2), ODDS])
    torch.testing.assert_close(energy(logits), torch.tensor([-math.log(2), -math.log(8)]))
    # With T = 2: -2 log(√3 + √5).
    torch.testing.assert_close(energy(ODDS, 2.0), torch.tensor([-2 * math.log(3**0.5 + 5**0.5)]))


def test_energy_change_by_hand() -> None:
    # Without the larger logit: log(3 + 1). Of three classes without the two largest: log(2 + 1 + 1).
    torch.testing.assert_close(energy_change(ODDS), torch.tensor([math.log(4) - math.log(8)]))
    three = torch.tensor([[math.log(5), math.log(2), math.log(3)]])
    torch.testing.assert_close(energy_change(three, 2), torch.tensor([math.log(4) - math.log(10)]))
    with pytest.raises(ValueError, match="more than 2 classes"):
        energy_change(ODDS, 2)


def test_max_softmax_and_max_logit_by_hand() -> None:
    # Odds 3 : 5 give 5/8; four equal logits give 1/4.
    torch.testing.assert_close(max_softmax(ODDS), torch.tensor([-5 / 8]))
    torch.testing.assert_close(max_softmax(torch.full((1, 4), 9.0)), torch.tensor([-1 / 4]))
    assert max_logit(torch.tensor([[1.0, -3.0], [-2.0, -4.0]])).tolist() == [-1.0, 2.0]


def test_entropies_by_hand() -> None:
    expected = -(3 / 8) * math.log(3 / 8) - (5 / 8) * math.log(5 / 8)
    torch.testing.assert_close(entropy(ODDS), torch.tensor([expected]))
    # Both terms are (15/64)^γ; with one class of the two, one of them.
    torch.testing.assert_close(generalised_entropy(ODDS, 0.5), torch.tensor([2 * (15 / 64) ** 0.5]))
    torch.testing.assert_close(generalised_entropy(ODDS, 0.5, top=1), torch.tensor([(15 / 64) ** 0.5]))


def test_cosine_scores_undo_the_scale() -> None:
    cosines = torch.tensor([[0.25, 0.75]])
    expected = -math.exp(0.75) / (math.exp(0.75) + math.exp(0.25))
    torch.testing.assert_close(max_concept_matching(100 * cosines, 100.0), torch.tensor([expected]))
    torch.testing.assert_close(max_concept_matching(100 * cosines, 100.0, 0.01), max_softmax(100 * cosines))
    torch.testing.assert_close(max_cosine(100 * cosines, 100.0), torch.tensor([-0.75]))


def test_equals_pytorch_ood() -> None:
    from pytorch_ood import detector

    logits = torch.randn(64, 7, generator=torch.Generator().manual_seed(0)) * 20
    torch.testing.assert_close(energy(logits), detector.EnergyBased.score(logits, t=1.0))
    torch.testing.assert_close(energy(logits, 3.0), detector.EnergyBased.score(logits, t=3.0))
    torch.testing.assert_close(max_softmax(logits), detector.MaxSoftmax.score(logits))
    torch.testing.assert_close(entropy(logits / 9), detector.Entropy.score(logits / 9))
    for top in (3, 100):
        theirs = detector.GEN(None, gamma=0.1, M=top).predict_logits(logits / 9)  # a mean where the paper has a sum
        torch.testing.assert_close(generalised_entropy(logits / 9, 0.1, top), theirs * min(top, 7))
    torch.testing.assert_close(max_logit(logits), detector.MaxLogit.score(logits))


@pytest.mark.parametrize("score", OF_LOGITS)
def test_surer_logits_score_lower(score: Callable[[Tensor], Tensor]) -> None:
    sure, unsure = torch.tensor([[30.0, 5.0, 5.0]]), torch.tensor([[12.0, 11.0, 11.5]])
    assert score(sure).item() < score(unsure).item()


@pytest.mark.parametrize("score", OF_LOGITS)
def test_half_precision_is_computed_in_float32(score: Callable[[Tensor], Tensor]) -> None:
    logits = torch.tensor([[90.0, 100.0, 65000.0]], dtype=torch.float16)  # exp would overflow float16
    result = score(logits)
    assert result.dtype == torch.float32
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("score", OF_LOGITS)
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (3, 0)])
def test_refuses_other_shapes(score: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="logits must be"):
        score(torch.zeros(shape))
