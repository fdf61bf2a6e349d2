from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.backbone.load import load_backbone, save_backbone
from pipeline.backbone.sidecar import sidecar_path
from pipeline.errors import CheckpointError

Tiny = tuple[str, Path]


@pytest.fixture
def saved(tiny: Tiny, tmp_path: Path) -> Path:
    out = tmp_path / "kept" / "w.safetensors"
    save_backbone(tiny[0], str(tiny[1]), out)
    return out


def test_weights_survive_and_the_note_says_what_they_are(tiny: Tiny, saved: Path) -> None:
    before, after = load_file(tiny[1]), load_file(saved)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    note = json.loads(sidecar_path(saved).read_text())
    assert [note["model"], note["source"], note["quick_gelu"]] == [tiny[0], "tiny.safetensors", False]
    assert note["preprocess"]["resize_mode"] == "shortest"
    assert load_backbone(tiny[0], saved, "cpu").width == 24
    assert {p.name for p in saved.parent.iterdir()} == {"w.safetensors", "w.safetensors.json"}


def test_lost_quickgelu_is_caught(tiny: Tiny, tmp_path: Path) -> None:
    """The tensors of both models have the same names and shapes; only the note tells them apart."""
    saved = tmp_path / "w.safetensors"
    save_backbone(f"{tiny[0]}-quickgelu", str(tiny[1]), saved)
    with pytest.raises(CheckpointError, match=rf"with QuickGELU .*set it to '{tiny[0]}-quickgelu'"):
        load_backbone(tiny[0], saved, "cpu")
    assert load_backbone(f"{tiny[0]}-quickgelu", saved, "cpu").name.endswith("quickgelu")


def test_mean_and_deviation_of_the_note_are_used(tiny: Tiny, saved: Path) -> None:
    path = sidecar_path(saved)
    note = json.loads(path.read_text())
    note["preprocess"] |= {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    path.write_text(json.dumps(note))
    backbone = load_backbone(tiny[0], saved, "cpu")
    assert backbone.preprocessing[1:] == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def change(saved: Path, **values: Any) -> None:
    path = sidecar_path(saved)
    note = json.loads(path.read_text())
    path.write_text(json.dumps(note | values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "RN50"}, r"holds RN50, but backbone\.model is tiny"),
        ({"sha256": "0" * 64}, r"belongs to another file than w\.safetensors"),
        ({"preprocess": {"resize_mode": "squash"}}, r"wants images resized by squash.*only the shorter side"),
    ],
)
def test_contradicting_note_is_refused(tiny: Tiny, saved: Path, values: dict[str, Any], message: str) -> None:
    change(saved, **values)
    with pytest.raises(CheckpointError, match=message):
        load_backbone(tiny[0], saved, "cpu")


@pytest.mark.parametrize("content", ["{", "[]", '{"model": "x"}'])
def test_damaged_note_is_refused(tiny: Tiny, saved: Path, content: str) -> None:
    sidecar_path(saved).write_text(content)
    with pytest.raises(CheckpointError, match=r"w\.safetensors\.json"):
        load_backbone(tiny[0], saved, "cpu")


def test_openai_weights_are_refused_for_a_model_without_quickgelu(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="trained with QuickGELU; add ViT-B-32-quickgelu instead"):
        save_backbone("ViT-B-32", "openai", tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_preprocessing_that_is_not_supported_is_refused_before_a_download(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="ViT-B-16-SigLIP wants images resized by squash, bicubic"):
        save_backbone("ViT-B-16-SigLIP", "webli", tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_unreachable_hub_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody answers
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(
        CheckpointError, match=r"laion2b_s34b_b79k could not be fetched: .*cannot be reached; .*give the path"
    ):
        save_backbone("ViT-B-32", "laion2b_s34b_b79k", tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_unknown_tag_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"laion3b: neither a file nor a tag of ViT-B-32; its tags: openai, "):
        save_backbone("ViT-B-32", "laion3b", tmp_path / "w.safetensors")


def test_misfit_leaves_no_file(tiny: Tiny, tmp_path: Path) -> None:
    state = load_file(tiny[1])
    del state["visual.proj"]
    save_file(state, tmp_path / "bad.safetensors")
    with pytest.raises(CheckpointError, match=r"bad\.safetensors: does not fit"):
        save_backbone(tiny[0], str(tmp_path / "bad.safetensors"), tmp_path / "out" / "w.safetensors")
    assert not (tmp_path / "out").exists()


def test_other_suffix_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"ends in \.safetensors"):
        save_backbone(tiny[0], str(tiny[1]), tmp_path / "w.pt")
