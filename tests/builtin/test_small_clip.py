"""The shipped CLIP loads like any other checkpoint, reads digits zero-shot, and can be trained again from its seed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from pipeline.backbone.small import MODEL_NAME, WEIGHTS, register
from pipeline.builtin.small_clip.captions import PLAIN, STYLED, caption
from pipeline.builtin.small_clip.check import KNOWN, encode_folder, encode_names, zero_shot
from pipeline.builtin.small_clip.draw import paint, warp
from pipeline.builtin.small_clip.glyphs import stock
from pipeline.builtin.small_clip.train import clip_loss, learning_rate, main
from pipeline.errors import DataError


@pytest.fixture(scope="module")
def model() -> Any:
    import open_clip

    register()
    return open_clip.create_model(MODEL_NAME, pretrained=str(WEIGHTS)).eval()


def test_the_file_is_small_and_says_how_it_was_made() -> None:
    assert WEIGHTS.stat().st_size <= 8_000_000
    with safe_open(WEIGHTS, framework="pt") as file:
        inside = json.loads(file.metadata()["card"])
    assert inside == json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert inside["recipe"]["steps"] > 0


def test_loading_gives_the_weights_of_the_file(model: Any) -> None:
    with safe_open(WEIGHTS, framework="pt") as file:
        names = set(file.keys())
        assert names == set(model.state_dict())
        for name in names:
            assert torch.equal(model.state_dict()[name], file.get_tensor(name).float()), name


def test_registering_twice_changes_nothing() -> None:
    import open_clip

    register()
    before = open_clip.get_model_config(MODEL_NAME)
    register()
    assert open_clip.get_model_config(MODEL_NAME) == before
    assert Path(before["text_cfg"]["tokenizer_kwargs"]["bpe_path"]).is_absolute()


def test_tokenizer() -> None:
    import open_clip

    register()
    tokenizer = open_clip.get_tokenizer(MODEL_NAME)
    assert tokenizer.vocab_size == open_clip.get_model_config(MODEL_NAME)["text_cfg"]["vocab_size"]
    tokens = tokenizer(["a photo of a seven.", "a photo of a art painting giraffe.", "the digit zero"])
    assert tokens.shape == (3, 24)
    # 256 bytes, 256 bytes that end a word, 2,048 merges, then the two special tokens
    assert tokens[:, 0].tolist() == [2560] * 3
    ends = tokens.argmax(1)  # open_clip pools the text feature where the largest token is
    assert tokens.max(1).values.tolist() == [2561] * 3
    decoded = tokenizer.decode(tokens[0, 1 : int(ends[0])].tolist())
    assert decoded == "a photo of a seven . "


def test_zero_shot_is_useful_and_leaves_room(model: Any, digits: Path) -> None:
    accuracy = zero_shot(model, digits)
    assert 0.60 <= accuracy["mean"] <= 0.95
    by_domain = [accuracy[name] for name in ("chalk", "ink", "neon", "outline")]
    assert accuracy["mean"] == pytest.approx(sum(by_domain) / 4, abs=1e-4)
    assert min(by_domain) < accuracy["mean"] - 0.03  # at least one domain is clearly harder


def test_unknown_digits_score_higher_on_average(model: Any, digits: Path) -> None:
    from sklearn.metrics import roc_auc_score

    features, _, classes = encode_folder(model, digits)
    score = -torch.logsumexp(model.logit_scale.exp().detach() * features @ encode_names(model, KNOWN).T, dim=1)
    assert roc_auc_score([name not in KNOWN for name in classes], score) > 0.5


def test_an_empty_folder_is_named(model: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected images as domain/class"):
        zero_shot(model, tmp_path)


def test_clip_loss_by_hand() -> None:
    # two pictures of caption 0 and one of caption 1, features along the axes, scale ln 3:
    #   logits (B, U) = ln 3 * [[1, 0], [1, 0], [0, 1]]; a row's softmax gives its caption 3/4
    #   picture -> caption: ln(4/3) each
    #   caption 0 -> pictures: softmax of ln 3 * (1, 1, 0) = (3, 3, 1)/7, target (1/2, 1/2, 0): ln(7/3)
    #   caption 1 -> pictures: softmax of ln 3 * (0, 0, 1) = (1, 1, 3)/5, target (0, 0, 1): ln(5/3)
    image = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    loss = clip_loss(image, torch.eye(2), torch.tensor([0, 0, 1]), torch.tensor(math.log(3)))
    expected = (math.log(4 / 3) + (math.log(7 / 3) + math.log(5 / 3)) / 2) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_clip_loss_is_open_clips_where_no_caption_repeats() -> None:
    from open_clip import ClipLoss

    generator = torch.Generator().manual_seed(0)
    image, text = (torch.nn.functional.normalize(torch.randn((6, 4), generator=generator), dim=1) for _ in range(2))
    ours = clip_loss(image, text, torch.arange(6), torch.tensor(10.0))
    assert ours.item() == pytest.approx(ClipLoss()(image, text, torch.tensor(10.0)).item(), rel=1e-6)


def test_learning_rate() -> None:
    # warm-up 1/4, 2/4, 3/4, 4/4 of the peak; the cosine starts at the peak, is half of it half way, and ends near zero
    rates = [learning_rate(step, steps=104, peak=2.0, warmup=4) for step in range(104)]
    assert rates[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    assert rates[54] == pytest.approx(1.0)
    assert rates[-1] < 0.001


def test_captions_name_each_picture_once() -> None:
    words = ["seven", "two", "seven", "letter k"]
    hollow, light = torch.tensor([0, 1, 1, 0]).bool(), torch.tensor([1, 1, 1, 0]).bool()
    seen = set()
    for seed in range(60):
        distinct, place = caption(words, hollow, light, torch.Generator().manual_seed(seed))
        assert len(set(distinct)) == len(distinct) == len(set(place.tolist()))
        for word, row in zip(words, place.tolist(), strict=True):
            assert word in distinct[row]
        seen.add(len(distinct))
    assert seen == {3, 4}  # a plain template joins the two sevens, a styled one (hollow or not) parts them
    assert len(set(PLAIN) | set(STYLED)) == len(PLAIN) + len(STYLED)


def test_painting_keeps_shape_and_range() -> None:
    glyphs = stock(handwritten=0.5, letters=0.2)
    assert glyphs.fields.shape[1:] == (1, 32, 32)
    shares = [float(glyphs.weights[:351].sum()), float(glyphs.weights[glyphs.word_ids >= 10].sum())]
    assert shares == pytest.approx([0.5, 0.2], abs=1e-4)
    assert float(glyphs.weights.sum()) == pytest.approx(1.0, abs=1e-4)
    assert len(glyphs.words) == int(glyphs.word_ids.max()) + 1
    assert float(glyphs.fields.flatten(1).amax(1).min()) > 0.3  # no glyph is blank: every font has every character

    def draw(seed: int, share: float) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        pictures = paint(warp(glyphs.fields[:64], generator), share, generator)
        return pictures.images, pictures.hollow

    images, hollow = draw(0, 0.0)
    assert images.shape == (64, 3, 32, 32)
    assert float(images.min()) >= 0.0
    assert float(images.max()) <= 1.0
    assert not hollow.any()
    assert draw(0, 1.0)[1].all()
    assert torch.equal(images, draw(0, 0.0)[0])
    assert not torch.equal(images, draw(1, 0.0)[0])


def test_training_is_seeded_and_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = str(tmp_path / f"{name}.safetensors")
        assert main(["--out", out, "--steps", "3", "--device", "cpu", "--seed", str(seed)]) == 0
        if name == "a":
            assert torch.equal(torch.get_rng_state(), before)
            torch.rand(7)  # a second run must not depend on what the process drew before

    def tensors(name: str) -> dict[str, Tensor]:
        with safe_open(tmp_path / f"{name}.safetensors", framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dict

    first, second, third = tensors("a"), tensors("b"), tensors("c")
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], third[key]) for key in first)
    expected = {f"{name}.{suffix}" for name in "abc" for suffix in ("json", "safetensors")}
    assert {path.name for path in tmp_path.iterdir()} == expected  # and no temporary file
    assert json.loads((tmp_path / "a.json").read_text())["recipe"]["steps"] == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_cuda_is_never_replaced_silently(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "a.safetensors"), "--steps", "1", "--device", "cuda"]) == 2
    assert "cuda was requested" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
