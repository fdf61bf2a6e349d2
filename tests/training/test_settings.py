"""Settings refuse what cannot be trained; schedule and mini-batches by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.croft.options import Penalty
from pipeline.errors import ParamsError
from pipeline.training.schedule import batch_order, learning_rate
from pipeline.training.settings import Settings
from pipeline.training.sgd import sgd


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratio_image": 1.1}, r"ratio_image: 1.1 is outside \[0, 1\]"),
        ({"ratio_text": -0.1}, "ratio_text: -0.1 is negative"),
        ({"lambda_1": float("nan")}, "lambda_1: expected a finite number, found nan"),
        ({"lambda_2": "10"}, "lambda_2: expected a finite number, found '10'"),
        ({"lr": -1.0}, "lr: -1.0 is negative"),
        ({"epochs": 0}, "epochs: 0 is less than 1"),
        ({"batch_size": 1.5}, "batch_size: expected a whole number, found 1.5"),
        ({"momentum": 1.0}, "momentum: 1.0 is not below 1"),
        ({"preset": "published"}, "preset: 'published' is none of paper, released"),
        ({"select": "test"}, "select: 'test' is none of source-val, last"),
        ({"generator_steps": 0}, "generator_steps: the paper preset needs at least 1"),
        ({"preset": "released", "generator": False}, "generator: false is not a choice of the released preset"),
    ],
)
def test_bad_values_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        Settings(**change)


def test_numbers_do_not_split_a_batch_but_structure_does() -> None:
    base = Settings()
    assert base.structure == replace(base, lr=1.0, lambda_1=0.0, ratio_image=0.9, select="last").structure
    assert base.structure != replace(base, generator_steps=2).structure
    assert base.structure != replace(base, lambda_2=0.0).structure
    assert base.structure != replace(base, penalty=Penalty(scaled=True)).structure


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
