from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pipeline.backbone.load import load_backbone
from pipeline.errors import CheckpointError
from pipeline.images import centre_square

Tiny = tuple[str, Path]


def images(sizes: list[tuple[int, int]]) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


SHAPES = [(32, 32), (33, 32), (31, 57), (200, 41), (16, 16), (640, 479), (100, 301)]


def test_clean_view_has_the_pixels_of_open_clips_own_preprocessing() -> None:
    import open_clip

    # without mean and deviation, what is left of it is Resize, CenterCrop and division by 255
    transform = open_clip.image_transform(32, is_train=False, mean=(0, 0, 0), std=(1, 1, 1))
    for image in images(SHAPES):
        expected = (transform(image) * 255).round().byte().permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(centre_square(image, 32), expected)


def test_features_are_those_of_open_clip(tiny: Tiny, backbone: Any) -> None:
    import open_clip

    model, _, preprocess = open_clip.create_model_and_transforms(tiny[0], pretrained=str(tiny[1]))
    model.eval()
    pixels = images(SHAPES)
    with torch.no_grad():
        expected = model.encode_image(torch.stack([preprocess(image) for image in pixels])).numpy()
        text = model.encode_text(open_clip.get_tokenizer(tiny[0])(["a cat", "a dog"])).numpy()
    clean = np.stack([centre_square(image, 32) for image in pixels])
    np.testing.assert_allclose(backbone.encode_images(clean), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(backbone.encode_text(["a cat", "a dog"]), text, rtol=0, atol=1e-6)


def test_attributes(backbone: Any) -> None:
    assert (backbone.preprocessing.size, backbone.width, backbone.tokenizer.context) == (32, 24, 16)
    assert backbone.preprocessing.mean == (0.48145466, 0.4578275, 0.40821073)  # CLIP's
    assert backbone.logit_scale == pytest.approx(1 / 0.07, rel=1e-6)  # open_clip starts at ln(1 / 0.07)
    assert not any(p.requires_grad for p in backbone.model.parameters())
    assert backbone.encode_text([]).shape == (0, 24)


def test_wrong_pixels_are_refused(backbone: Any) -> None:
    for wrong in (np.zeros((1, 3, 32, 32), np.uint8), np.zeros((1, 32, 32, 3), np.float32)):
        with pytest.raises(ValueError, match="expected uint8"):
            backbone.encode_images(wrong)


def test_built_in_model_is_known() -> None:
    from pipeline.backbone.openclip.config import model_config
    from pipeline.backbone.small import MODEL_NAME

    assert model_config(MODEL_NAME)["embed_dim"] > 0


def test_torch_file_of_tensors_is_read(tiny: Tiny, backbone: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"state_dict": {f"module.{k}": v for k, v in load_file(tiny[1]).items()}}, path)
    again = load_backbone(tiny[0], path, "cpu")
    assert torch.equal(again.model.visual.proj, backbone.model.visual.proj)
    assert again.weights_sha256 != backbone.weights_sha256


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('a pickle was run')",))


def dropped(state: dict[str, torch.Tensor], path: Path) -> None:
    del state["visual.proj"]
    save_file(state, path)


def added(state: dict[str, torch.Tensor], path: Path) -> None:
    save_file({**state, "head.weight": torch.zeros(2), "head.bias": torch.zeros(2)}, path)


def reshaped(state: dict[str, torch.Tensor], path: Path) -> None:
    save_file({**state, "text_projection": torch.zeros(32, 25)}, path)


def other_image_size(state: dict[str, torch.Tensor], path: Path) -> None:
    save_file({**state, "visual.positional_embedding": torch.zeros(37, 32)}, path)


def other_context(state: dict[str, torch.Tensor], path: Path) -> None:
    save_file({**state, "positional_embedding": torch.zeros(77, 32)}, path)


MISFITS = [
    (dropped, r"missing tensor visual\.proj"),
    (added, r"2 unexpected tensors \(head\.\w+, \.\.\.\)"),
    (reshaped, r"1 tensor of another shape \(text_projection is \[32, 25\], expected \[32, 24\]\)"),
    (other_image_size, r"visual\.positional_embedding is \(37, 32\), expected \(17, 32\)"),
    (other_context, r"positional_embedding is \(77, 32\), expected \(16, 32\)"),
]


@pytest.mark.parametrize(("make", "message"), MISFITS, ids=[make.__name__ for make, _ in MISFITS])
def test_misfit_is_one_line_that_names_the_file(tiny: Tiny, tmp_path: Path, make: Any, message: str) -> None:
    path = tmp_path / "other.safetensors"
    make(load_file(tiny[1]), path)
    with pytest.raises(
        CheckpointError, match=rf"other\.safetensors: does not fit the model {tiny[0]}: .*{message}"
    ) as caught:
        load_backbone(tiny[0], path, "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.safetensors", None, r"no\.safetensors: no such weights file; .*dvc pull"),
        ("w.ckpt", b"x", r"w\.ckpt: expected a weights file that ends in \.safetensors, \.pt"),
        ("w.npz", b"x", r"w\.npz: expected a weights file"),
        ("w.safetensors", b"version https://git-lfs", r"w\.safetensors: not a readable safetensors file"),
        ("w.pt", b"garbage", r"w\.pt: not a readable torch file of tensors only"),
        ("w.bin", pickle.dumps({"state_dict": Evil()}), r"w\.bin: not a readable torch file of tensors only"),
        ("w.pth", pickle.dumps([1, 2]), r"w\.pth: not a readable torch file of tensors only"),
    ],
)
def test_unreadable_file_is_named(tiny: Tiny, tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_backbone(tiny[0], tmp_path / name, "cpu")
    assert "\n" not in str(caught.value)


def test_unknown_model_is_answered_with_the_nearest(tiny: Tiny) -> None:
    with pytest.raises(
        CheckpointError, match=r"backbone\.model: open_clip knows no model 'ViT-B-23'; did you mean 'ViT-B-"
    ):
        load_backbone("ViT-B-23", tiny[1], "cpu")


def test_encoding_ignores_the_rest_of_the_batch(backbone: Any) -> None:
    batch = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    whole = backbone.encode_images(batch)
    alone = np.concatenate([backbone.encode_images(batch[i : i + 1]) for i in range(8)])
    np.testing.assert_allclose(alone, whole, rtol=0, atol=1e-5)
    assert math.isfinite(float(whole.sum()))
