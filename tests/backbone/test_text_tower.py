"""The text tower taken apart gives what open_clip's own `encode_text` gives, and refuses what it cannot take apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_clip import tiny_clip

from pipeline.backbone.load import load_backbone
from pipeline.backbone.openclip.model import OpenClipBackbone, OpenClipTokenizer
from pipeline.backbone.small import MODEL_NAME, WEIGHTS
from pipeline.errors import CheckpointError

TEXTS = ["a photo of a cat.", "seven", "", "a drawing of the number seven, made with thick chalk."]


def difference(backbone: OpenClipBackbone, texts: list[str] = TEXTS) -> float:
    """Between the tower and open_clip on whole contexts, relative to the largest number."""
    tower = backbone.prompt_tower()
    ids, lengths = tower.tokens(texts)
    with torch.no_grad():
        found = tower.encode(tower.embed(ids), lengths)
        expected = backbone.model.encode_text(backbone.tokenizer(texts))
    assert ids.shape[1] == int(lengths.max()) <= backbone.tokenizer.context
    assert found.shape == (len(texts), backbone.width)
    return float((found - expected).abs().max() / expected.abs().max())


def full_size(backbone: OpenClipBackbone, name: str, folder: Path) -> OpenClipBackbone:
    """The text tower of an open_clip model, random weights, beside one layer of its visual tower."""
    import open_clip

    config = open_clip.get_model_config(name)
    config["vision_cfg"]["layers"] = 1
    (folder / f"{name}-one-layer.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{name}-one-layer.json")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.create_model(f"{name}-one-layer").eval()
    return replace(
        backbone,
        model=model,
        tokenizer=OpenClipTokenizer(open_clip.get_tokenizer("ViT-B-32"), 77),
        width=512,
        name=name,
    )


def test_the_built_in_tower() -> None:
    small = load_backbone(MODEL_NAME, WEIGHTS, "cpu")
    assert difference(small) < 1e-6
    assert difference(small, [TEXTS[3], "a " * 22]) < 1e-6  # a whole context


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-32-quickgelu"])
def test_full_size_towers(backbone: OpenClipBackbone, name: str, tmp_path: Path) -> None:
    assert difference(full_size(backbone, name, tmp_path)) < 1e-5


@pytest.mark.parametrize(
    "text",
    [{"pool_type": "eos", "eos_id": 49407}, {"proj_bias": True}, {"proj_type": "none", "width": 32}],
    ids=str,
)
def test_towers_of_their_own_module(backbone: OpenClipBackbone, text: dict[str, Any], tmp_path: Path) -> None:
    import open_clip

    name, _ = tiny_clip(tmp_path, name=f"tiny-{'-'.join(text)}", **text)  # open_clip keeps the first of a name
    custom = open_clip.create_model(name, force_custom_text=True).eval()
    assert type(custom).__name__ == "CustomTextCLIP"
    for weight in custom.text.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))  # biases start as 0
    assert custom.text.pool_type == text.get("pool_type", "argmax")
    assert difference(replace(backbone, model=custom, width=text.get("width", 24))) < 1e-6


def test_float64_is_closer_and_leaves_the_backbone_alone(backbone: OpenClipBackbone) -> None:
    tower = backbone.prompt_tower()
    double = tower.in_dtype(torch.float64)
    ids, lengths = tower.tokens(TEXTS)
    with torch.no_grad():
        first, second = tower.encode(tower.embed(ids), lengths), double.encode(double.embed(ids), lengths)
    assert (first.dtype, second.dtype) == (torch.float32, torch.float64)
    assert 0 < (first - second).abs().max() < 1e-5
    assert tower.in_dtype(torch.float32) is tower
    assert backbone.model.token_embedding.weight.dtype == torch.float32


def test_tokens_are_counted_beyond_the_context(backbone: OpenClipBackbone) -> None:
    ids, lengths = backbone.prompt_tower().tokens(["cat", "a " * 30])
    assert lengths.tolist() == [3, 32]  # a start and an end each
    assert ids.shape == (2, 32)


@pytest.mark.parametrize(
    "text", [{"embed_cls": True}, {"no_causal_mask": True}, {"pool_type": "last"}, {"pool_type": "first"}], ids=str
)
def test_other_towers_are_refused(backbone: OpenClipBackbone, text: dict[str, Any], tmp_path: Path) -> None:
    import open_clip

    name, _ = tiny_clip(tmp_path, name=f"tiny-other-{'-'.join(map(str, *text.items()))}", **text)
    other = replace(backbone, model=open_clip.create_model(name, force_custom_text=True), name=name)
    with pytest.raises(CheckpointError, match=r"tiny-other-.* has a text tower \(TextTransformer\).*kind coop"):
        other.prompt_tower()


def test_towers_of_another_library_are_refused(backbone: OpenClipBackbone) -> None:
    import open_clip

    model = open_clip.create_model(backbone.name, force_custom_text=True)
    model.text = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(8, 2, batch_first=True), 1)
    with pytest.raises(CheckpointError, match=r"\(TransformerEncoder\) through which no prompt can be learned"):
        replace(backbone, model=model).prompt_tower()
