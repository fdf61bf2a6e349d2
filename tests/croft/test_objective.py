"""Adapters, generator and the paper's objective: small numbers by hand, and what each step may move."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.croft.adapters import Gradients, Weights, adapt, cross_entropy, normalise
from pipeline.croft.generator import alignment, covariate, generator_loss
from pipeline.croft.objective import Batch, adapt_batch, adapter_terms
from pipeline.croft.options import Objective, Ratios
from pipeline.croft.steps import paper_step


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_adapt_by_hand() -> None:
    # f = (1, 0), W swaps the axes, r = 0.25: 0.25 (0, 1) + 0.75 (1, 0) = (0.75, 0.25), norm √0.625.
    found = adapt(rows([1, 0]), rows([0, 1], [1, 0]), 0.25)
    torch.testing.assert_close(found, rows([0.75, 0.25]) / (math.sqrt(0.625) + 1e-6))


def test_adapt_multiplies_by_the_transpose() -> None:
    # f Wᵀ with W = [[0, 1], [0, 0]] takes (0, 1) to (1, 0); f W would give (0, 0).
    torch.testing.assert_close(adapt(rows([0, 1]), rows([0, 1], [0, 0]), 1.0), rows([1 / (1 + 1e-6), 0]))


def test_cross_entropy_is_torchs() -> None:
    values = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    for run in range(3):
        assert cross_entropy(values, labels)[run] == pytest.approx(functional.cross_entropy(values[run], labels).item())


def test_alignment_by_hand() -> None:
    # Rows 0 and 1 share a class. Pairs (0,0) 1, (0,1) 0, (1,0) 0, (1,1) 1, (2,2) 1: 3 of 9; (0,2) is masked.
    features = rows([1, 0], [0, 1], [1, 0])
    assert float(alignment(features, features, torch.tensor([0, 0, 1]))) == pytest.approx(3 / 9)


def test_identity_generator_moves_nothing() -> None:
    # z I + z = 2 z, which normalises back to z.
    features = normalise(rows([3, 4], [1, -2]))
    torch.testing.assert_close(covariate(features, torch.eye(2, dtype=torch.float64)), features, rtol=2e-6, atol=0)


def test_generator_loss_by_hand() -> None:
    # z = t_0, G = I, s = 2: CE of logits (2, 0) is log(1 + e^-2); the only pair has cosine 1, so λ1 is added.
    image, text = rows([1, 0]), rows([1, 0], [0, 1])
    found = generator_loss(image, text, torch.eye(2, dtype=torch.float64), torch.tensor([0]), 3.0, 2.0)
    assert float(found) == pytest.approx(math.log(1 + math.exp(-2)) + 3, rel=1e-5)


def small(runs: int = 2) -> tuple[Tensor, Tensor, Tensor, Weights]:
    source = torch.Generator().manual_seed(5)
    features = torch.randn(runs, 6, 8, generator=source, dtype=torch.float64)
    text = torch.randn(3, 8, generator=source, dtype=torch.float64)
    matrices = [
        torch.eye(8, dtype=torch.float64) + 0.2 * torch.randn(runs, 8, 8, generator=source, dtype=torch.float64)
        for _ in range(3)
    ]
    return features, text, torch.tensor([0, 1, 2, 0, 1, 2]).expand(runs, -1), Weights(*matrices)


def objective(**choices: Any) -> Objective:
    return Objective(Ratios(0.2, 0.5), lambda_1=3.0, lambda_2=0.7, scale=10.0, **choices)


@pytest.mark.parametrize(("weight", "factor"), [("lambda_1", 3.0), ("one", 1.0)])
def test_adapter_terms_add_up(weight: str, factor: float) -> None:
    features, text, labels, weights = small()
    batch = Batch(features, text, labels)
    adapted = adapt_batch(batch, weights, Ratios(0.2, 0.5))
    image, words, _ = adapted
    torch.testing.assert_close(image, adapt(features, weights.image, 0.2))
    torch.testing.assert_close(words, adapt(text, weights.text, 0.5))
    terms = adapter_terms(batch, adapted, weights, objective(covariate_weight=weight))
    shifted = covariate(image, weights.shift)
    classified = cross_entropy(10 * shifted @ words.mT, labels)
    torch.testing.assert_close(terms["covariate"], factor * classified - 3 * alignment(shifted, image, labels))
    total = terms["cross_entropy"] + terms["covariate"] + 0.7 * terms["penalty"]
    torch.testing.assert_close(terms["loss"], total)


def step(weights: Weights, generator_steps: int, rows_option: str) -> list[Gradients]:
    """The gradients that a paper step hands over, in order, with weights that never move."""
    features, text, labels, _ = small()
    seen: list[Gradients] = []

    def update(gradients: Gradients) -> Weights:
        seen.append(gradients)
        return weights

    choices = objective(generator_steps=generator_steps, covariate_rows=rows_option)
    paper_step(Batch(features, text, labels), weights, update, choices)
    return seen


@pytest.mark.parametrize("rows_option", ["generator", "adapter"])
def test_each_loss_moves_only_its_own(rows_option: str) -> None:
    *_, weights = small()
    seen = step(weights, 2, rows_option)
    assert [tuple(part is not None for part in gradients) for gradients in seen] == [
        (False, False, True),
        (False, False, True),
        (True, True, False),
    ]


@pytest.mark.parametrize("rows_option", ["generator", "adapter"])
def test_adapter_gradient_by_finite_differences(rows_option: str) -> None:
    features, text, labels, weights = small(runs=1)
    generator = weights.generator

    def function(image: Tensor, words: Tensor) -> Tensor:
        moved, batch = Weights(image, words, generator), Batch(features, text, labels)
        adapted = adapt_batch(batch, moved, Ratios(0.2, 0.5))
        return adapter_terms(batch, adapted, moved, objective(covariate_rows=rows_option))["loss"]

    assert torch.autograd.gradcheck(function, [weights.image.requires_grad_(), weights.text.requires_grad_()])


def test_without_generator_only_cross_entropy_and_penalty() -> None:
    *_, weights = small()
    seen = step(weights._replace(generator=None), 1, "generator")
    assert [tuple(part is not None for part in gradients) for gradients in seen] == [(True, True, False)]
