"""Every score wherever it can look, on tiny data: what holds for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.detection.scores import spaces
from pipeline.detection.scores.catalogue import SCORES
from pipeline.detection.scores.contract import LogitScore, Seen
from pipeline.detection.scores.spaces import Option, Views
from tests.detection.test_feature_scores import draw, training

WIDTH, CLASSES = 16, 4
EVERY = list(spaces.options(words=True))
GIVEN = training(width=WIDTH, classes=CLASSES, words=draw(40, WIDTH, 9))


def views(features: Tensor) -> Views:
    """Zero-shot, and a head that has learnt another direction a little."""
    logits = GIVEN.scale * features @ GIVEN.text.mT
    turned = 0.5 * GIVEN.scale * features @ GIVEN.text.roll(1, 1).mT
    return Views(Seen(logits + turned, GIVEN.scale, features), Seen(logits, GIVEN.scale, features))


IMAGES = views(draw(33, WIDTH, 10))
VALIDATION = views(GIVEN.features[:20])


def names(option: Option) -> str:
    return option.name


def test_three_spaces_for_scores_of_logits_and_one_for_those_of_features() -> None:
    logit_scores = sum(isinstance(score, LogitScore) for score in SCORES.values())
    assert len(EVERY) == 3 * logit_scores + (len(SCORES) - logit_scores) == len({option.name for option in EVERY})
    assert {option.name for option in EVERY} - {option.name for option in spaces.options()} == {"neglabel"}
    assert [spaces.option_of(option.name) for option in EVERY] == EVERY
    with pytest.raises(ValueError, match=r"no open-set score is called 'enrgy'; known: .*energy@both"):
        spaces.option_of("enrgy")


@pytest.mark.parametrize("option", EVERY, ids=names)
def test_one_finite_number_per_image_whatever_its_company(option: Option) -> None:
    statistics = spaces.fit(option, GIVEN, VALIDATION)
    assert all(array.dtype == torch.float32 for array in statistics.values())
    together = spaces.compute(option, IMAGES, statistics)
    assert together.shape == (33,)
    assert together.dtype == torch.float32
    assert torch.isfinite(together).all()
    assert len(together.unique()) > 25
    for cells in (1, 4000, spaces.CELLS):
        parted = spaces.compute_in_parts(option, 33, IMAGES.part, statistics, cells)
        torch.testing.assert_close(parted, together, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("option", EVERY, ids=names)
def test_images_of_no_class_score_higher(option: Option) -> None:
    statistics = spaces.fit(option, GIVEN, VALIDATION)
    learnt = torch.cat([GIVEN.text, GIVEN.text.roll(1, 1)]).double()
    others = torch.linalg.svd(learnt).Vh[len(learnt) :].float()  # directions that no class has, for either head
    away = torch.nn.functional.normalize(draw(20, len(others), 11) @ others)
    known, unknown = (spaces.compute(option, one, statistics) for one in (views(GIVEN.features[20:80]), views(away)))
    assert (unknown[None] > known[:, None]).float().mean() > 0.7


def test_both_is_the_sum_of_standardised_halves_by_hand() -> None:
    def seen(*values: float) -> Seen:
        return Seen(torch.tensor(values)[:, None], 1.0, torch.zeros(len(values), 2))

    option = Option("max-logit", spaces.BOTH)
    # -1 and -3: mean -2, spread 1; -10 twice: mean -10, spread 0, which is taken as 1.
    statistics = spaces.fit(option, GIVEN, Views(seen(1.0, 3.0), seen(10.0, 10.0)))
    result = spaces.compute(option, Views(seen(5.0), seen(7.0)), statistics)
    assert result.tolist() == [(-5 + 2) / 1 + (-7 + 10) / 1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_every_option_exports_to_onnx_with_a_free_batch(tmp_path: Path) -> None:
    import onnxruntime

    made = {option: spaces.fit(option, GIVEN, VALIDATION) for option in EVERY}

    class All(torch.nn.Module):
        def forward(self, head: Tensor, zero_shot: Tensor, features: Tensor) -> tuple[Tensor, ...]:
            given = Views(Seen(head, GIVEN.scale, features), Seen(zero_shot, GIVEN.scale, features))
            return tuple(spaces.compute(option, given, statistics) for option, statistics in made.items())

    def inputs(one: Views) -> tuple[Tensor, Tensor, Tensor]:
        return one.head.logits, one.zero_shot.logits, one.zero_shot.features

    file, batch = tmp_path / "scores.onnx", {0: torch.export.Dim("batch")}
    torch.onnx.export(
        All(), inputs(VALIDATION), str(file), dynamo=True, dynamic_shapes=(batch, batch, batch), verbose=False
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    feed = {slot.name: values.numpy() for slot, values in zip(session.get_inputs(), inputs(IMAGES), strict=True)}
    for option, values in zip(EVERY, session.run(None, feed), strict=True):
        expected = spaces.compute(option, IMAGES, made[option])
        torch.testing.assert_close(torch.from_numpy(values), expected, rtol=1e-4, atol=1e-4, msg=option.name)
