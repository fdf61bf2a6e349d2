"""The README's commands for a folder of one's own, on photographs, drawings and sketches; needs CROFT_REAL_DATA."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pandas as pd
import pytest
from clone import Clone, copy_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif("CROFT_REAL_DATA" not in os.environ, reason="CROFT_REAL_DATA names no folder of real images"),
]

SMALL = {"model": "croft-small", "weights": "pipeline/backbone/small/croft-small.safetensors"}
DOMAINS = {"art_painting", "cartoon", "photo", "sketch"}
FEW = {"shots": 8, "validation": 4, "seeds": [1]}  # of 24 images a class and domain


@pytest.fixture
def workspace(tmp_path: Path) -> Clone:
    """A clone of the project with the sample of PACS and two open sets under DVC, and the preset for PACS."""
    real = Path(os.environ["CROFT_REAL_DATA"]).resolve()
    clone = Clone(tmp_path / "project", tmp_path / "mlflow.db")
    copy_project(clone.folder)
    clone.run("croft", "data", "add", str(real / "pacs-mini"), "--name", "pacs", "--benchmark", "pacs")
    clone.run("croft", "data", "add", str(real / "dtd-mini"), "--name", "pacs", "--open-set", "dtd")
    clone.run("croft", "data", "add", str(real / "caltech101-mini"), "--name", "pacs", "--open-set", "caltech101")
    clone.run("croft", "use", "pacs")
    return clone


def check_run(clone: Clone) -> dict[str, dict[str, dict[str, float]]]:
    """`croft run` to the end, and what holds whatever the weights are; returns the metrics."""
    start = time.monotonic()
    done = clone.run("croft", "run", seconds=1500)
    print(done.stdout)
    print(f"croft run took {time.monotonic() - start:.0f} s")
    manifest = pd.read_parquet(clone.folder / "artifacts/manifest.parquet")
    assert manifest.groupby("pool").size().to_dict() == {"": 672, "dtd": 80, "caltech101": 256}
    splits = pd.read_parquet(clone.folder / "artifacts/splits.parquet")
    held_out = splits[splits["target"].isin(DOMAINS)]
    assert set(held_out["target"]) == DOMAINS
    for target, part in held_out.groupby("target"):
        assert (part["role"] == "test_shifted").sum() == 7 * 24, target
        assert part[part["role"] == "test_unknown"].groupby("open_set").size().to_dict() == {
            "caltech101": 256,
            "dtd": 80,
        }, target
    assert clone.json("artifacts/validation/validation.json")["success"]
    metrics = clone.json("artifacts/evaluation/metrics.json")
    for method in ("zero-shot", "croft"):
        row = metrics[method]["mean"]
        assert 0 <= row["accuracy"] <= 1, method
        for name in ("dtd", "caltech101"):
            assert 0 <= row["open_sets"][name]["auroc"] <= 1, (method, name)
    assert clone.json("artifacts/export/parity.json")["passed"]
    assert "croft version 1" in done.stdout
    return metrics


def test_small_clip(workspace: Clone) -> None:
    workspace.set(backbone=SMALL, split=FEW, finetune={"epochs": 10, "lr": 0.05})
    check_run(workspace)
    again = workspace.run("croft", "run").stdout
    assert "everything is up to date" in again


def test_full_size_with_random_weights(workspace: Clone, tmp_path: Path) -> None:
    """The path that real weights take: a checkpoint of ViT-B-32 is added, encodes, is exported and registered."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None)
    save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, tmp_path / "vit.safetensors")
    del module
    workspace.run(
        "croft", "backbone", "add", "ViT-B-32-quickgelu", str(tmp_path / "vit.safetensors"), "--name", "vit-b-32"
    )
    workspace.set(split=FEW, featurize={"views": 2}, finetune={"epochs": 10})
    metrics = check_run(workspace)
    # Weights that know nothing: no method can be far from the chance of one in seven.
    assert metrics["zero-shot"]["mean"]["accuracy"] < 0.4
