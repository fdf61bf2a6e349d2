"""Models that open_clip knows in other ways: a hub's, with a logit bias, NaFlex; and what names their embeddings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_clip import TINY, tiny_clip

from pipeline.backbone.load import load_backbone, load_tokenizer, save_backbone
from pipeline.backbone.sidecar import sidecar_path
from pipeline.backbone.small import MODEL_NAME, WEIGHTS
from pipeline.errors import CheckpointError

Tiny = tuple[str, Path]
HUB = "hf-hub:nobody/tiny"
PREPROCESS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "size": [32, 32], "interpolation": "bicubic"}


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path) -> Path:
    """What a repository of the hub holds: the tiny CLIP with another mean and deviation, and QuickGELU."""
    import open_clip

    config = {**open_clip.get_model_config(TINY), "quick_gelu": True}
    made = tmp_path / "hub"
    made.mkdir()
    (made / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS}))
    save_file(load_file(tiny[1]), made / "open_clip_model.safetensors")
    return made


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def edit(folder: Path, **changes: Any) -> None:
    """Change the architecture; a key may name a part, as in text_cfg__width."""
    path = folder / "open_clip_config.json"
    content = json.loads(path.read_text())
    for key, value in changes.items():
        *parts, last = key.split("__")
        target = content["model_cfg"]
        for part in parts:
            target = target[part]
        target[last] = value
    path.write_text(json.dumps(content))


def test_a_hubs_model_comes_from_a_folder_and_stays_usable_without_it(folder: Path, tmp_path: Path) -> None:
    import open_clip

    reference, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    reference.eval()
    out = tmp_path / "kept" / "w.safetensors"
    save_backbone(HUB, str(folder), out)
    for path in folder.iterdir():
        path.unlink()
    backbone = load_backbone(HUB, out, "cpu")
    pixels = torch.from_numpy(pictures()).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(PREPROCESS[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        expected = reference.encode_image((pixels - mean) / std).numpy()
        text = reference.encode_text(open_clip.get_tokenizer(TINY)(["a cat"])).numpy()
    np.testing.assert_allclose(backbone.encode_images(pictures()), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(backbone.encode_text(["a cat"]), text, rtol=0, atol=1e-6)
    assert (backbone.name, backbone.preprocessing) == (HUB, (32, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
    note = json.loads(sidecar_path(out).read_text())
    assert (note["model"], note["source"], note["quick_gelu"]) == (HUB, "hub", True)
    assert str(tmp_path) not in json.dumps(note)
    out.unlink()  # the tokenizer needs the note alone, as where the weights are not pulled yet
    assert load_tokenizer(HUB, out).lengths(["a cat", ""]) == [4, 2]
    with pytest.raises(CheckpointError, match=r"w\.safetensors: no such weights file; .*dvc pull"):
        load_backbone(HUB, out, "cpu")
    sidecar_path(out).unlink()
    with pytest.raises(
        CheckpointError, match=r"w\.safetensors\.json: expected the configuration of hf-hub:nobody/tiny"
    ):
        load_tokenizer(HUB, out)


def test_a_hubs_model_that_is_cached_needs_no_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    cache = tmp_path / "cache" / "models--nobody--tiny"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("c" * 40)
    (cache / "snapshots").mkdir()
    folder.rename(cache / "snapshots" / ("c" * 40))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    unreachable(monkeypatch)
    save_backbone(HUB, "", tmp_path / "w.safetensors")
    assert load_backbone(HUB, tmp_path / "w.safetensors", "cpu").width == 24
    assert json.loads(sidecar_path(tmp_path / "w.safetensors").read_text())["source"] == HUB


def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: no answer
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_an_unreachable_hub_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable(monkeypatch)
    expected = r"^hf-hub:nobody/none: its files could not be fetched: http://127\.0\.0\.1:9 cannot be reached; download"
    with pytest.raises(CheckpointError, match=expected):
        save_backbone("hf-hub:nobody/none", "", tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_command_asks_for_a_tag_and_says_in_one_line_that_the_hub_is_unreachable(tmp_path: Path) -> None:
    """In a process of its own, where nothing has imported the hub's client yet."""
    for model, expected in (
        (
            "hf-hub:nobody/none",
            "error: hf-hub:nobody/none: its files could not be fetched: http://127.0.0.1:9 cannot be",
        ),
        ("ViT-B-32", "error: ViT-B-32: expected a tag or a weights file; its tags: openai, "),
    ):
        command = [sys.executable, "-m", "pipeline.cli", "backbone", "add", model, "--name", "x"]
        environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 2
        assert done.stderr.startswith(expected)
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"vision_cfg__timm_model_name": "naflexvit_base_patch16_gap"},
            "hf-hub:nobody/tiny is a NaFlex model, .*fixed",
        ),
        (
            {"text_cfg__hf_tokenizer_name": "t5-base"},
            r"needs the library transformers \(text_cfg.hf_tokenizer_name: t5",
        ),
        ({"text_cfg__hf_model_name": "roberta-base"}, "text_cfg.hf_model_name: roberta-base"),
        ({"vision_cfg__timm_model_name": "hf-hub:evil/model"}, "expected a name of timm, found 'hf-hub:evil/model'"),
        ({"text_cfg__tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, "tokenizer_kwargs.bpe_path"),
        ({"vision_cfg": 3}, "hf-hub:nobody/tiny: not a configuration of open_clip"),
        ({"embed_dim": 25}, r"open_clip_model\.safetensors: does not fit the model hf-hub:nobody/tiny"),
        ({"unheard_of": 1}, "hf-hub:nobody/tiny cannot be made: .*unheard_of"),
    ],
    ids=str,
)
def test_architectures_that_cannot_be_used_are_refused_by_name(
    folder: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    edit(folder, **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        save_backbone(HUB, str(folder), tmp_path / "out" / "w.safetensors")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_folders_without_safetensors_are_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    torch.save(load_file(folder / "open_clip_model.safetensors"), folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_model.safetensors").unlink()
    expected = (
        r"hub: expected open_clip_model\.safetensors or .*; open_clip_pytorch_model\.bin is a pickle.*: convert it"
    )
    with pytest.raises(CheckpointError, match=expected):
        save_backbone(HUB, str(folder), out)
    (folder / "open_clip_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"hub: open_clip_config\.json is missing or no JSON"):
        save_backbone(HUB, str(folder), out)
    with pytest.raises(CheckpointError, match=r"gone: no such folder; expected one with open_clip_config\.json"):
        save_backbone(HUB, str(tmp_path / "gone"), out)


@pytest.mark.parametrize("model", ["ViT-B/32", "local-dir:/tmp/x", "hf-hub:../x", "hf-hub:a/b/c", ""])
def test_a_name_of_no_backends_form_is_refused(model: str) -> None:
    with pytest.raises(
        CheckpointError, match="is no model name; expected an open_clip name such as ViT-B-32, or hf-hub"
    ):
        load_backbone(model, WEIGHTS, "cpu")


def test_naflex_is_refused_under_open_clips_names_too() -> None:
    with pytest.raises(CheckpointError, match="ViT-B-16-SigLIP2-NaFlex is a NaFlex model"):
        load_backbone("ViT-B-16-SigLIP2-NaFlex", WEIGHTS, "cpu")


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A tiny CLIP as SigLIP is: its own text module, a logit bias, towers trained by a sigmoid loss."""
    import open_clip

    made = tmp_path_factory.mktemp("siglip")
    tiny_clip(made, name="tiny-plain")
    config = {**open_clip.get_model_config("tiny-plain"), "custom_text": True, "init_logit_bias": -10}
    (made / "tiny-biased.json").write_text(json.dumps(config))
    open_clip.add_model_config(made / "tiny-biased.json")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.create_model("tiny-biased")
    save_file(model.state_dict(), made / "biased.safetensors")
    return "tiny-biased", made / "biased.safetensors"


def test_a_logit_bias_shifts_the_energy_of_all_images_alike_and_is_left_out(siglip: Tiny) -> None:
    backbone = load_backbone(*siglip, "cpu")
    assert (type(backbone.model).__name__, backbone.logit_bias) == ("CustomTextCLIP", -10.0)
    images, text = (
        torch.nn.functional.normalize(torch.from_numpy(rows), dim=-1)
        for rows in (backbone.encode_images(pictures()), backbone.encode_text(["a cat", "a dog", "an owl"]))
    )
    ours = backbone.logit_scale * images @ text.T
    pixels = torch.from_numpy(pictures()).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in backbone.preprocessing[1:])
    with torch.no_grad():
        theirs, _ = backbone.model.get_logits((pixels - mean) / std, backbone.tokenizer(["a cat", "a dog", "an owl"]))
    torch.testing.assert_close(theirs, ours - 10, rtol=0, atol=1e-4)
    torch.testing.assert_close(theirs.softmax(1), ours.softmax(1), rtol=0, atol=1e-5)
    shift = torch.logsumexp(ours, 1) - torch.logsumexp(theirs, 1)
    torch.testing.assert_close(shift, torch.full((3,), 10.0), rtol=0, atol=1e-4)


def test_biased_weights_need_a_model_with_a_bias(siglip: Tiny) -> None:
    with pytest.raises(CheckpointError, match=r"biased\.safetensors: does not fit the model tiny-plain: .*logit bias"):
        load_backbone("tiny-plain", siglip[1], "cpu")


def test_keys_of_stored_embeddings_stay_what_they_were() -> None:
    """Another fingerprint would encode every stored image again: this is the key from before backends existed."""
    assert load_backbone(MODEL_NAME, WEIGHTS, "cpu").fingerprint == SMALL_FINGERPRINT


def test_fingerprints_tell_apart_what_decides_an_embedding(folder: Path, tmp_path: Path, tiny: Tiny) -> None:
    prints = []
    for number, change in enumerate(({}, {"quick_gelu": False}, {"text_cfg__context_length": 16})):
        edit(folder, **change)
        save_backbone(HUB, str(folder), tmp_path / f"{number}.safetensors")
        prints.append(load_backbone(HUB, tmp_path / f"{number}.safetensors", "cpu").fingerprint)
    assert prints[0] != prints[1] == prints[2]
    named = [load_backbone(name, tiny[1], "cpu").fingerprint for name in (TINY, f"{TINY}-quickgelu")]
    half = load_backbone(*tiny, "cpu", precision="bfloat16").fingerprint
    assert len({*prints, *named, half}) == 5
    assert all(
        re.fullmatch(r"[0-9a-f]{64} \S+ \(.*\) \(.*\) (float32|bfloat16)( [0-9a-f]{64})?", each) for each in prints
    )


SMALL_FINGERPRINT = (
    "54c5e154322fb66e22a42ee03b5ce889fae69a60245021099af6c695e850e552 croft-small "
    "(0.48145466, 0.4578275, 0.40821073) (0.26862954, 0.26130258, 0.27577711) float32"
)
