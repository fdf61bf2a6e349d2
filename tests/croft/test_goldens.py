"""The released preset against numbers computed by the authors' code, to 1e-9 relative in float64."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.croft.adapters import Gradients, Weights, logits
from pipeline.croft.generator import covariate, generator_loss
from pipeline.croft.objective import Adapted, Batch, adapt_batch
from pipeline.croft.options import Objective, Penalty, Ratios
from pipeline.croft.released import released_terms
from pipeline.croft.steps import released_step
from pipeline.training.optimizers import sgd

FOLDER = Path(os.environ.get("CROFT_GOLDENS_DIR") or Path(__file__).parents[1] / "goldens")
FILES = sorted(FOLDER.glob("released_*.npz"))
SETUP_I: dict[str, Any] = {"batch": "sum", "entries": "mean"}
SETUP_II: dict[str, Any] = {"batch": "mean", "entries": "sum"}
BRANCHES = {"ImageNet46": (SETUP_I, True), "PACS": (SETUP_II, True), "VLCS": (SETUP_II, False)}


class Case:
    """One golden file as tensors, and the named options that its branch stands for."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            self.numbers = {name: file[name] for name in file.files}
        reduction, branch = BRANCHES[str(self.numbers["dataset"])]
        self.scale = float(self.numbers["logit_scale"])
        self.steps = int(self.numbers["generator_steps"])
        self.objective = Objective(
            ratios=Ratios(float(self.numbers["ratio_image"]), float(self.numbers["ratio_text"])),
            lambda_1=float(self.numbers["lambda1"]),
            lambda_2=float(self.numbers["lambda2"]),
            scale=self.scale,
            penalty=Penalty(energy="exp-cosine", weights="shared", **reduction),
            generator_steps=self.steps,
            covariate_branch=branch and self.steps > 0,
        )

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.numbers[name])

    def batch(self) -> Batch:
        return Batch(self["image_features"][0], self["text_features"], self["labels"])

    def weights(self) -> Weights:
        return Weights(*(self[name].clone().requires_grad_() for name in ("W_image", "W_text", "G")))

    def check(self, name: str, value: Tensor) -> None:
        # Relative to the array's largest entry: single entries of a gradient may cancel to almost nothing.
        expected = self[name]
        error = (value.detach() - expected).abs().max() / expected.abs().max()
        assert error <= 1e-9, f"{name}: {error:.2e}"


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_every_branch_has_a_file() -> None:
    assert {str(np.load(path)["dataset"]) for path in FILES} == set(BRANCHES)
    assert len(FILES) >= 5


def forward(case: Case, weights: Weights) -> Adapted:
    return adapt_batch(case.batch(), weights, case.objective.ratios)


def check_gradients(case: Case, name: str, loss: Tensor, weights: Weights) -> None:
    gradients = torch.autograd.grad(loss, [weights.image, weights.text, weights.shift])
    for matrix, gradient in zip(("W_image", "W_text", "G"), gradients, strict=True):
        case.check(f"{name}_grad_{matrix}", gradient)


def test_forward(case: Case) -> None:
    weights = case.weights()
    image, text, _ = forward(case, weights)
    values = logits(image, text, case.scale)
    case.check("logits", values)
    case.check("energy", torch.logsumexp(values, dim=-1))  # the released sign
    case.check("covariate_features", covariate(image, weights.shift))


def test_generator_loss(case: Case) -> None:
    weights = case.weights()
    image, text, _ = forward(case, weights)
    loss = generator_loss(image, text, weights.shift, case["labels"], case.objective.lambda_1, case.scale)
    case.check("generator_loss", loss)
    check_gradients(case, "generator_loss", loss, weights)


@pytest.mark.parametrize("form", ["closed", "double-backward"])
def test_total_loss(case: Case, form: Any) -> None:
    weights = case.weights()
    assert case.objective.penalty is not None
    objective = replace(case.objective, penalty=replace(case.objective.penalty, form=form))
    terms = released_terms(case.batch(), forward(case, weights), weights, objective)
    case.check("cross_entropy", terms["cross_entropy"])
    case.check("covariate_term", terms["covariate"])
    case.check("energy_gradient_penalty", terms["penalty"])
    case.check("total_loss", terms["loss"])
    check_gradients(case, "total_loss", terms["loss"], weights)


@pytest.mark.parametrize("runs", [None, 2])
def test_trajectory(case: Case, runs: int | None) -> None:
    def stacked(value: Tensor) -> Tensor:
        return value.clone() if runs is None else value.repeat(runs, *[1] * value.ndim)

    numbers = {name: float(case.numbers[name]) for name in ("lr", "momentum", "weight_decay")}
    state = {name: stacked(case[name]) for name in ("W_image", "W_text", "G")}
    velocity = {name: torch.zeros_like(value) for name, value in state.items()}

    def update(gradients: Gradients) -> Weights:
        for name, gradient in zip(state, gradients, strict=True):
            assert gradient is not None
            sgd(state[name], velocity[name], gradient, **numbers)
        return Weights(*state.values())

    losses = []
    for batch in case["image_features"]:
        inputs = Batch(stacked(batch), case["text_features"], stacked(case["labels"]))
        terms = released_step(inputs, Weights(*state.values()), update, case.objective)
        losses.append(terms["loss"].reshape(-1)[0])
    case.check("step_losses", torch.stack(losses))
    for name, value in state.items():
        case.check(f"final_{name}", value if runs is None else value[-1])
