"""Each baseline's formula against numbers by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pipeline.errors import DataError
from pipeline.methods import adapters, clip_adapter, linear_probe, tip_adapter
from pipeline.methods.catalogue import head_logits
from pipeline.methods.contract import ClassSet, Images
from pipeline.methods.settings import options

TEXT = torch.tensor([[2.0, 0.0], [0.0, 5.0]], dtype=torch.float64)  # two classes, along the axes
IMAGE = torch.tensor([[3.0, 4.0]], dtype=torch.float64)  # cosines 0.6 and 0.8


def near(found: torch.Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(found.double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-5)


def images(labels: torch.Tensor, views: torch.Tensor) -> Images:
    return Images(labels, lambda: views)


NONE = images(torch.zeros(0), torch.zeros(0))


def test_zero_shot_is_the_scaled_cosine() -> None:
    prototypes = ClassSet(TEXT, 10.0).prototypes
    near(head_logits(IMAGE, "zero-shot", {"prototypes": prototypes}, {"scale": 10.0}), [[6.0, 8.0]])


def test_adapters_turn_images_by_their_ratio() -> None:
    # W_I swaps the axes: (3, 4) becomes (4, 3); half of it and half of (3, 4) is (3.5, 3.5), 45 degrees from both.
    # W_T turns (2, 0) into (0, 2) and is used wholly (ratio 1), so both prototypes have swapped their axes as well.
    swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()
    ratio = {"ratio_text": torch.tensor(1.0)}
    arrays = adapters.derive({"text_weight": swap}, ratio, options({}), ClassSet(TEXT, 10.0))  # type: ignore[arg-type]
    near(arrays["prototypes"], [[0.0, 1.0], [1.0, 0.0]])
    scalars = {"ratio_image": 0.5, "ratio_text": 1.0, "scale": 10.0}
    values = head_logits(IMAGE, "adapters", arrays | {"image_weight": swap, "text_weight": swap}, scalars)
    near(values, [[10 / math.sqrt(2), 10 / math.sqrt(2)]])


def test_linear_probe_starts_as_zero_shot_and_is_not_normalised() -> None:
    settings: Any = options({"kind": "linear-probe"})
    start = linear_probe.start(settings, 1, ClassSet(TEXT, 10.0), NONE).learnt
    near(linear_probe.logits(IMAGE, **start, scale=10.0), [[6.0, 8.0]])
    # Weights (2, 1) and (0, 1), biases 0.5 and 0: 10 (1.2 + 0.8 + 0.5) = 25 and 10 * 0.8 = 8.
    weight, bias = torch.tensor([[2.0, 1.0], [0.0, 1.0]]).double(), torch.tensor([0.5, 0.0]).double()
    near(linear_probe.logits(IMAGE, weight=weight, bias=bias, scale=10.0), [[25.0, 8.0]])


def test_clip_adapter_by_hand() -> None:
    # Hidden: relu(3 - 4) = 0, relu(3 + 4) = 7. Up: relu(7 * 1) = 7, relu(7 * -1) = 0. Half of (7, 0) and half of
    # (3, 4) is (5, 2), of norm sqrt(29).
    down = torch.tensor([[1.0, -1.0], [1.0, 1.0]]).double()
    up = torch.tensor([[3.0, 1.0], [3.0, -1.0]]).double()
    found = clip_adapter.logits(IMAGE, down=down, up=up, prototypes=torch.eye(2).double(), ratio_image=0.5, scale=10.0)
    near(found, [[50 / math.sqrt(29), 20 / math.sqrt(29)]])


def test_clip_adapter_starts_in_the_bounds_of_a_linear_layer_and_by_seed_alone() -> None:
    def first(seed: int, reduction: int) -> dict[str, torch.Tensor]:
        settings: Any = options({"kind": "clip-adapter", "reduction": reduction})
        return clip_adapter.start(settings, seed, ClassSet(torch.zeros(3, 16), 10.0), NONE).learnt

    start = first(1, 4)
    assert (start["down"].shape, start["up"].shape) == ((4, 16), (16, 4))
    assert start["down"].abs().max() <= 1 / 4  # 1 / sqrt(16) and 1 / sqrt(4)
    assert 1 / 4 < start["up"].abs().max() <= 1 / 2
    assert torch.equal(first(1, 4)["up"], start["up"])
    assert not torch.equal(first(2, 4)["up"], start["up"])
    assert first(1, 99)["down"].shape == (1, 16)


def test_tip_adapter_by_hand() -> None:
    # Keys along the axes, of classes 1 and 0: similarities 0.6 and 0.8; cache exp(-5 * 0.4) for class 1 and
    # exp(-5 * 0.2) for class 0, each times 3, beside the cosines times 10.
    keys, values = torch.eye(2).double(), torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()
    found = tip_adapter.logits(
        IMAGE, keys=keys, values=values, prototypes=torch.eye(2).double(), alpha=3.0, beta=5.0, scale=10.0
    )
    near(found, [[6 + 3 * math.exp(-1.0), 8 + 3 * math.exp(-2.0)]])


def test_cache_is_the_mean_direction_of_the_views() -> None:
    # Directions (1, 0) and (0, 1), whatever their lengths: the mean direction is the diagonal.
    views = torch.tensor([[[9.0, 0.0], [0.0, 1.0]], [[0.0, 2.0], [0.0, 3.0]]])
    settings: Any = options({"kind": "tip-adapter"})
    learnt, fixed = tip_adapter.start(settings, 1, ClassSet(torch.eye(3, 2), 10.0), images(torch.tensor([2, 0]), views))
    keys, values = learnt["keys"], fixed["values"]
    near(keys, [[math.sqrt(0.5), math.sqrt(0.5)], [0.0, 1.0]])
    assert values.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_search_keeps_the_given_pair_unless_another_is_better() -> None:
    scalars, settings = {"scale": 1.0, "alpha": 0.0, "beta": 1.0}, options({"kind": "tip-adapter"})
    image = torch.tensor([[0.8, 0.6]]).double()  # class 0 by the prompts
    keys, values = image.clone(), torch.tensor([[0.0, 1.0]]).double()  # class 1 by the cache
    # Right as it is: nothing is strictly better.
    arrays = {"keys": keys, "values": values, "prototypes": torch.eye(2).double()}
    assert tip_adapter.search(arrays, scalars, settings, image, torch.tensor([0])) == (scalars, 1.0)
    # Wrong as it is. The image is the key, so the cache adds alpha whatever beta: 0.6 + alpha > 0.8 needs alpha > 0.2,
    # and the second of the grid, 0.1 + 2.9 / 19 = 0.2526, is the first that does, with the grid's smallest beta.
    better, share = tip_adapter.search(arrays, scalars, settings, image, torch.tensor([1]))
    assert (round(better["alpha"], 4), better["beta"], share) == (0.2526, 0.1, 1.0)


def test_unknown_kinds_and_missing_arrays_are_named() -> None:
    with pytest.raises(DataError, match="no head of kind 'cocoop'; known: adapters, zero-shot"):
        head_logits(IMAGE, "cocoop", {}, {})
    with pytest.raises(DataError, match="kind 'clip-adapter' lacks 'up'"):
        head_logits(IMAGE, "clip-adapter", {"down": TEXT, "prototypes": TEXT}, {"ratio_image": 0.2, "scale": 1.0})
