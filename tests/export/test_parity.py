"""Parity passes for the true graph at several batch sizes, and breaks for anything else."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from pipeline.errors import DeviceError, ParityError
from pipeline.export.parity import check, compare


def images(count: int) -> np.ndarray:
    """Flat colours and noise, so that the scores spread."""
    generator = np.random.default_rng(2)
    noise = generator.integers(0, 256, (count, 32, 32, 3))
    flat = generator.integers(0, 256, (count, 1, 1, 3))
    return ((noise * np.linspace(0, 1, count)[:, None, None, None]) + flat).clip(0, 255).astype(np.uint8)


def test_parity_of_a_clip_tower(exported) -> None:
    result = compare(exported.module, exported.path, images(70), tolerance=1e-4)
    assert result["batch_sizes"] == [1, 3, 64]
    assert result["images"] == 70
    assert result["passed"]
    assert 0.0 <= result["max_probability_difference"] < 2e-5  # float32 rounding times the logit scale of 100
    assert 0.0 < result["max_score_difference"] < 2e-5
    assert result["unknown_disagreements"] == 0
    check(result, 1e-4)


def test_one_image_is_enough(exported) -> None:
    assert compare(exported.module, exported.path, images(1), tolerance=1e-4)["batch_sizes"] == [1]


def test_another_adapter_is_a_breach_that_names_the_numbers(exported) -> None:
    other = copy.deepcopy(exported.module)
    other.image_weight.mul_(1.0 + 0.01 * torch.arange(32.0))
    result = compare(other, exported.path, images(8), tolerance=1e-4)
    assert not result["passed"]
    with pytest.raises(ParityError, match=r"differ by \d\.\d\de-\d\d in probability and \d\.\d\de-\d\d in score"):
        check(result, 1e-4)


def test_flags_must_agree_away_from_the_threshold_only(exported) -> None:
    batch = images(8)
    with torch.no_grad():
        scores = exported.module(torch.from_numpy(batch))[1]
    moved = copy.deepcopy(exported.module)
    graph_threshold = float(moved.threshold)
    between = scores.sort().values
    # Put the reference's threshold so that some score lies between it and the graph's own.
    moved.threshold.fill_(float(between[4]) + 1e-3)
    wrong = int(((scores > moved.threshold) != (scores > graph_threshold)).sum())
    result = compare(moved, exported.path, batch, tolerance=1e-5)
    # Batches of 1 and 3 look at their first images only, so those may be counted again.
    assert (result["unknown_disagreements"] > 0) == (wrong > 0)
    assert wrong > 0
    with pytest.raises(ParityError, match="unknown flag"):
        check(result, 1e-5)
    # The same flags within the tolerance of the threshold do not count.
    loose = compare(moved, exported.path, batch, tolerance=10.0)
    assert loose["unknown_disagreements"] == 0


def test_nan_fails() -> None:
    result = {"max_probability_difference": float("nan"), "max_score_difference": 0.0, "unknown_disagreements": 0}
    with pytest.raises(ParityError):
        check({**result, "provider": "cpu", "images": 1}, 1e-4)


def test_what_cannot_be_compared_is_an_error(exported) -> None:
    with pytest.raises(ParityError, match="no images"):
        compare(exported.module, exported.path, images(0), tolerance=1e-4)
    with pytest.raises(ParityError, match="cannot run on a batch of 1"):
        compare(exported.module, exported.path, np.zeros((1, 16, 16, 3), np.uint8), tolerance=1e-4)
    with pytest.raises(DeviceError, match="expected cpu or cuda"):
        compare(exported.module, exported.path, images(1), tolerance=1e-4, provider="tpu")


def test_a_graph_with_another_number_of_classes_is_a_breach(exported, tmp_path: Path) -> None:
    other = copy.deepcopy(exported.module)
    other.prototypes = other.prototypes[:3]
    with pytest.raises(ParityError, match=r"expected finite output of shape \(1, 3\), found \(1, 5\)"):
        compare(other, exported.path, images(1), tolerance=1e-4)


@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="CPU build")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_does_not_silently_measure_the_cpu(exported) -> None:
    with pytest.raises(DeviceError):
        compare(exported.module, exported.path, images(1), tolerance=1e-4, provider="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_parity_on_cuda(exported) -> None:
    check(compare(exported.module, exported.path, images(16), tolerance=1e-4, provider="cuda"), 1e-4)
