"""What is stacked; schedule, mini-batches and optimizers by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.methods.settings import options
from pipeline.training.engine import _structure
from pipeline.training.optimizers import EPSILON, adamw, sgd
from pipeline.training.runs import Run
from pipeline.training.schedule import batch_order, learning_rate


def structure(rows: int = 40, **change: Any) -> object:
    labels = np.arange(rows) % 3
    run = Run("m", "t", 1, options(change), np.arange(rows), labels, np.arange(3), labels[:3])
    return _structure(run, torch.zeros(3, 8))


def test_numbers_do_not_split_a_stack_but_structure_does() -> None:
    assert structure() == structure(rows=33, lr=1.0, lambda_1=0.0, ratio_image=0.9, select="last")
    assert structure() != structure(generator_steps=2)
    assert structure() != structure(lambda_2=0.0)
    assert structure() != structure(penalty_scaled=True)
    assert structure() != structure(kind="linear-probe")
    # A cache has a row per training image.
    assert structure(kind="tip-adapter-f") != structure(rows=33, kind="tip-adapter-f")


def test_schedule_by_hand() -> None:
    # Epoch 1 starts the cosine at its top; epoch 16 of 30 is half-way, cos(π/2) = 0.
    assert learning_rate(0, 30, 0.002, 1e-5) == 1e-5
    assert learning_rate(1, 30, 0.002, 1e-5) == 0.002
    assert learning_rate(16, 30, 0.002, 1e-5) == pytest.approx(0.001)


def test_incomplete_batch_is_dropped() -> None:
    order = batch_order(np.random.default_rng(0), 11, 4)
    assert order.shape == (2, 4)
    assert len(set(order.ravel().tolist())) == 8
    assert order.max() <= 10


def test_sgd_by_hand() -> None:
    # w = 1, gradient 1, decay 0.5: v = 1.5, w = 1 - 0.1 · 1.5 = 0.85.
    # Again: v = 0.9 · 1.5 + 1 + 0.425 = 2.775, w = 0.85 - 0.2775 = 0.5725. The second run has no decay: 0.9, 0.71.
    weight, velocity = torch.ones(2, 1, 1), torch.zeros(2, 1, 1)
    decay = torch.tensor([0.5, 0.0])
    for expected in ([0.85, 0.9], [0.5725, 0.71]):
        sgd(weight, velocity, torch.ones(2, 1, 1), lr=0.1, momentum=0.9, weight_decay=decay)
        assert weight.ravel().tolist() == pytest.approx(expected)


def test_adamw_is_torchs() -> None:
    """Two stacked runs, the second with another rate and decay."""
    source = torch.Generator().manual_seed(0)
    ours = torch.randn(2, 4, 3, generator=source, dtype=torch.float64)
    rates, decays = [0.1, 0.02], [0.3, 0.0]
    theirs = [run.clone().requires_grad_() for run in ours]
    optimizers = [
        torch.optim.AdamW([run], lr=lr, weight_decay=decay, eps=EPSILON)
        for run, lr, decay in zip(theirs, rates, decays, strict=True)
    ]
    mean, square = torch.zeros_like(ours), torch.zeros_like(ours)
    numbers = {
        "lr": torch.tensor(rates, dtype=torch.float64),
        "weight_decay": torch.tensor(decays, dtype=torch.float64),
    }
    for step in range(1, 6):
        gradient = torch.randn(2, 4, 3, generator=source, dtype=torch.float64)
        for run, own, optimizer in zip(theirs, gradient, optimizers, strict=True):
            run.grad = own.clone()
            optimizer.step()
        adamw(ours, mean, square, gradient, step=torch.tensor([step, step]).double(), **numbers)
    torch.testing.assert_close(ours, torch.stack([run.detach() for run in theirs]), rtol=1e-12, atol=1e-12)
