"""The temperature against a grid search, and where it is left at 1."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from pipeline.detection.temperature import FEWEST, fit_temperature


def sample(count: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(logits), and those logits times `sharpness`: the right temperature is `sharpness`."""
    draw = np.random.default_rng(0)
    logits = 2 * draw.normal(size=(count, 4))
    odds = np.exp(log_softmax(logits, axis=1))
    labels = np.array([draw.choice(4, p=row) for row in odds])
    return sharpness * logits, labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_it_finds_what_the_labels_were_drawn_with(sharpness: float) -> None:
    logits, labels = sample(4000, sharpness)
    found = fit_temperature(logits, labels)
    assert found.note == ""
    assert found.value == pytest.approx(sharpness, rel=0.05)
    grid = np.exp(np.linspace(np.log(found.value) - 1, np.log(found.value) + 1, 401))
    losses = [-log_softmax(logits / t, axis=1)[np.arange(len(labels)), labels].mean() for t in grid]
    assert found.value == pytest.approx(grid[int(np.argmin(losses))], rel=0.006)  # a step of the grid


def test_few_images_and_images_that_bound_nothing_leave_it_at_one() -> None:
    logits, labels = sample(FEWEST - 1, 3.0)
    assert fit_temperature(logits, labels) == (1.0, "not calibrated: 49 validation images, 50 are needed")
    logits, _ = sample(FEWEST, 3.0)
    all_right = fit_temperature(logits, logits.argmax(1))  # the colder, the better
    assert all_right.value == 1.0
    assert "do not bound" in all_right.note
    all_equal = fit_temperature(np.zeros((FEWEST, 4)), np.zeros(FEWEST, int))
    assert np.isfinite(all_equal.value)
