"""The Hessian products against torch's own dense Hessian, and the agreement against a case worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.croft.adapters import Weights
from pipeline.croft.hessian import agreement, domain_grams, random_probes
from pipeline.croft.options import Ratios

WIDTH, CLASSES, IMAGES, DOMAINS = 3, 3, 5, 2
NUMBERS = {"ratios": Ratios(0.3, 0.6), "scale": 7.0}


@pytest.fixture(scope="module")
def case() -> dict[str, Any]:
    source = torch.Generator().manual_seed(4)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    return {
        "features": normal(DOMAINS, IMAGES, WIDTH),
        "labels": torch.randint(0, CLASSES, (DOMAINS, IMAGES), generator=source),
        "text": normal(CLASSES, WIDTH),
        "weights": Weights(*(torch.eye(WIDTH).double() + 0.3 * normal(WIDTH, WIDTH) for _ in range(2)), None),
    }


@pytest.fixture(scope="module")
def dense(case: dict[str, Any]) -> Tensor:
    """(K, 2 D², 2 D²) Hessians of a loss written with torch.nn.functional alone, by torch's own Hessian."""

    def loss(flat: Tensor, domain: int) -> Tensor:
        image_weight, text_weight = flat.view(2, WIDTH, WIDTH)
        images, text = case["features"][domain], case["text"]
        image = 0.3 * functional.linear(images, image_weight) + 0.7 * images
        words = 0.6 * functional.linear(text, text_weight) + 0.4 * text
        image, words = (rows / (rows.norm(dim=1, keepdim=True) + 1e-6) for rows in (image, words))
        return functional.cross_entropy(7.0 * image @ words.T, case["labels"][domain])

    flat = torch.cat([matrix.flatten() for matrix in case["weights"][:2]])
    hessian = torch.autograd.functional.hessian
    return torch.stack([hessian(lambda x, k=k: loss(x, k), flat) for k in range(DOMAINS)])


def test_unit_probes_give_the_exact_products(case: dict[str, Any], dense: Tensor) -> None:
    units = torch.eye(2 * WIDTH**2, dtype=torch.float64).view(-1, 2, WIDTH, WIDTH)
    found = domain_grams(**case, probes=units, **NUMBERS).sum(0)
    torch.testing.assert_close(found, torch.einsum("aij,bij->ab", dense, dense), rtol=1e-9, atol=1e-12)


def test_each_probe_gives_its_own_products(case: dict[str, Any], dense: Tensor) -> None:
    probes = random_probes(4, WIDTH, seed=1, like=case["text"])
    along = torch.einsum("kij,pj->pki", dense, probes.flatten(1))
    expected = torch.einsum("pai,pbi->pab", along, along)
    torch.testing.assert_close(domain_grams(**case, probes=probes, **NUMBERS), expected, rtol=1e-9, atol=1e-12)


def test_random_probes_come_near_the_exact_products(case: dict[str, Any], dense: Tensor) -> None:
    grams = domain_grams(**case, probes=random_probes(2000, WIDTH, seed=2, like=case["text"]), **NUMBERS)
    error = grams.std(0) / math.sqrt(2000)
    # Independent draws: the mean lies within 5 standard errors except once in about 2 million.
    assert ((grams.mean(0) - torch.einsum("aij,bij->ab", dense, dense)).abs() < 5 * error).all()
    assert error.max() < 0.1 * grams.mean(0).max()


def test_probes_are_signs_and_depend_on_the_seed_alone() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    first, again, other = (random_probes(3, 4, seed=seed, like=like) for seed in (5, 5, 6))
    assert first.shape == (3, 2, 4, 4)
    assert set(first.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_agreement_of_hessians_worked_out_by_hand() -> None:
    # H_1 = diag(1, 0), H_2 = diag(2, 0), H_3 = diag(0, 1): products 1·2 = 2, 0, 0; squares 1, 4, 1.
    cosine, distance = agreement(torch.tensor([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 1.0]]))
    torch.testing.assert_close(cosine, torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    # ‖H_1 - H_2‖² = 1 over (1 + 4) / 2; ‖H_1 - H_3‖² = 2 over 1; ‖H_2 - H_3‖² = 5 over 5 / 2.
    expected = [[0.0, math.sqrt(0.4), math.sqrt(2.0)], [math.sqrt(0.4), 0.0, math.sqrt(2.0)]]
    torch.testing.assert_close(distance, torch.tensor([*expected, [math.sqrt(2.0), math.sqrt(2.0), 0.0]]))


def test_a_hessian_that_vanishes_agrees_with_nothing() -> None:
    cosine, _ = agreement(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    assert cosine[0, 1].isnan()
