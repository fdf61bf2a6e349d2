"""The energy-gradient penalty: hand-derived numbers, closed form against double backward, gradcheck."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from pipeline.croft.adapters import Weights
from pipeline.croft.options import Penalty, Ratios
from pipeline.croft.penalty import energy_gradient_penalty

EYE = torch.eye(2, dtype=torch.float64)
ROW = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
FORMS = ["closed", "double-backward"]


def by_hand(generator: Tensor | None = None, **options: object) -> float:
    """One image (1, 0), text rows (1, 0) and (0, 1), identity weights, ratios 0.2 and 0.5."""
    weights = Weights(EYE.clone(), EYE.clone(), generator)
    value = energy_gradient_penalty(ROW, EYE, weights, Ratios(0.2, 0.5), Penalty(**options))  # type: ignore[arg-type]
    return value.detach().item()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gradient", ["batch", "sample"])
def test_exp_cosine_by_hand(form: str, gradient: str) -> None:
    # cos = (1, 0), slopes (e, 1). Image: g = (e, 1), its part orthogonal to (1, 0) is (0, 1), q = 0.2 (0, 1).
    # Text: slopes times (1, 0): the first is parallel to its row, the second is orthogonal, q = 0.5 (1, 0).
    # Separate: 0.2² + 0.5² = 0.29. Shared: q_I xᵀ + q_T tᵀ = [[0, 0.5], [0.2, 0]], the same norm.
    options = {"energy": "exp-cosine", "batch": "sum", "gradient": gradient, "form": form}
    assert by_hand(**options) == pytest.approx(0.29, rel=1e-5)
    assert by_hand(**options, weights="shared") == pytest.approx(0.29, rel=1e-5)
    assert by_hand(**options, entries="mean") == pytest.approx(0.29 / 4, rel=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_exp_cosine_mean_divides_by_rows_and_classes(form: str) -> None:
    # The mean of the 1 x 2 matrix halves the gradient and quarters its square.
    assert by_hand(energy="exp-cosine", batch="mean", form=form) == pytest.approx(0.29 / 4, rel=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_logsumexp_by_hand(form: str, scale: float) -> None:
    # Slopes -κ softmax(κ, 0); only the second class has an orthogonal part: κ p with p = 1 / (1 + e^κ).
    expected = (scale / (1 + math.exp(scale))) ** 2 * 0.29
    assert by_hand(scale=scale, form=form) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gradient", ["batch", "sample"])
def test_generator_by_hand(form: str, gradient: str) -> None:
    # G = [[0, 1], [0, 0]] turns (1, 0) into (1, 1)/√2; both cosines are 1/√2, slopes -κ/2. The image's gradient is
    # parallel to (1, 1) and vanishes. Each text row keeps κ/2 · 1/√2 across itself: 2 · κ²/8 · 0.5² = κ²/16.
    shift = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    assert by_hand(generator=shift, scale=2.0, gradient=gradient, form=form) == pytest.approx(0.25, rel=1e-5)


def case(rows: int, classes: int, width: int, runs: int = 2) -> tuple[Tensor, ...]:
    source = torch.Generator().manual_seed(rows * 100 + width)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    near = [torch.eye(width, dtype=torch.float64) + 0.3 * draw(runs, width, width) for _ in range(3)]
    return draw(runs, rows, width), draw(classes, width), *near


OPTIONS = [
    dict(zip(("energy", "gradient", "batch", "entries", "weights"), choice, strict=True))
    for choice in itertools.product(
        ("logsumexp", "exp-cosine"), ("batch", "sample"), ("mean", "sum"), ("sum", "mean"), ("separate", "shared")
    )
]


@pytest.mark.parametrize("shape", [(4, 3, 16), (9, 4, 6)], ids=["gram", "product"])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options.values()))
def test_closed_form_equals_double_backward(
    shape: tuple[int, int, int], shifted: bool, options: dict[str, str]
) -> None:
    images, text, *matrices = case(*shape)
    ratios = (torch.tensor([0.2, 0.9], dtype=torch.float64), torch.tensor([0.5, 0.3], dtype=torch.float64))
    found = []
    for form in FORMS:
        leaves = [matrix.clone().requires_grad_() for matrix in matrices]
        weights = Weights(leaves[0], leaves[1], leaves[2] if shifted else None)
        penalty = Penalty(scale=1.7, form=form, **options)  # type: ignore[arg-type]
        value = energy_gradient_penalty(images, text, weights, Ratios(*ratios), penalty)
        used = leaves if shifted else leaves[:2]
        found.append([value, *torch.autograd.grad(value.sum(), used)])
    for closed, reference in zip(*found, strict=True):
        assert closed.shape == reference.shape
        torch.testing.assert_close(closed, reference, rtol=1e-9, atol=1e-9 * float(reference.detach().abs().max()))


@pytest.mark.parametrize("gradient", ["batch", "sample"])
@pytest.mark.parametrize("weights", ["separate", "shared"])
def test_gradcheck(gradient: str, weights: str) -> None:
    images, text, *matrices = case(3, 2, 4)
    leaves = [images.requires_grad_(), *(matrix.requires_grad_() for matrix in matrices)]

    def function(rows: Tensor, image: Tensor, words: Tensor, shift: Tensor) -> Tensor:
        penalty = Penalty(scale=2.0, gradient=gradient, weights=weights)  # type: ignore[arg-type]
        return energy_gradient_penalty(rows, text, Weights(image, words, shift), Ratios(0.4, 0.6), penalty)

    assert torch.autograd.gradcheck(function, leaves)


@pytest.mark.parametrize("form", FORMS)
def test_run_axis_changes_nothing(form: str) -> None:
    images, text, *matrices = case(5, 3, 8)
    common = (Ratios(0.2, 0.5), Penalty(form=form))  # type: ignore[arg-type]
    both = energy_gradient_penalty(images, text, Weights(*matrices), *common)
    for run in range(2):
        alone = energy_gradient_penalty(images[run], text, Weights(*(matrix[run] for matrix in matrices)), *common)
        assert alone.ndim == 0
        torch.testing.assert_close(alone, both[run], rtol=1e-12, atol=0)
