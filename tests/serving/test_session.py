"""The device that was asked for, or an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import CheckpointError, DeviceError
from pipeline.serving.session import CPU, CUDA, _cuda_device, infer, infer_bound, make_session, open_proven


@pytest.fixture
def graph(tmp_path: Path, write_tiny_model: Callable[..., Path]) -> Path:
    return write_tiny_model(tmp_path) / "model.onnx"


def test_cpu(graph: Path) -> None:
    assert make_session(graph, "cpu", threads=1).get_providers() == [CPU]


@pytest.mark.skipif(_cuda_device(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_refused_and_auto_is_the_cpu(graph: Path) -> None:
    with pytest.raises(DeviceError, match="cuda was requested"):
        make_session(graph, "cuda")
    assert make_session(graph, "auto").get_providers() == [CPU]


@pytest.mark.gpu
@pytest.mark.skipif(not _cuda_device(), reason="there is no CUDA device")
def test_cuda_is_really_used(graph: Path) -> None:
    assert make_session(graph, "cuda").get_providers()[0] == CUDA
    assert make_session(graph, "auto").get_providers()[0] == CUDA


def test_wrong_names_and_files_are_refused(graph: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="expected auto, cuda or cpu, found 'gpu'"):
        make_session(graph, "gpu")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(graph.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"damaged\.onnx: not a usable ONNX graph"):
        make_session(damaged, "cpu")


def test_the_providers_that_ran_are_those_of_one_inference(graph: Path) -> None:
    session, executed = open_proven(graph, "cpu", threads=1)
    assert list(executed) == [CPU]
    assert 1 <= executed[CPU] <= 7  # the graph has seven nodes, of which ONNX Runtime may join some
    images = np.zeros((2, 8, 8, 3), np.uint8)
    assert infer(session, {"images": images}, ["score"])[0].shape == (2,)


def test_bound_inputs_and_outputs_give_the_same_answers(graph: Path) -> None:
    session = make_session(graph, "cpu", threads=1)
    names = ["probabilities", "score", "unknown"]
    for count in (1, 2, 7, 33):
        images = np.random.default_rng(count).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8).transpose(0, 2, 3, 1)
        plain = infer(session, {"images": images}, names)
        bound = infer_bound(session, {"images": images}, names, "cpu")
        for one, other in zip(plain, bound, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.gpu
@pytest.mark.skipif(not _cuda_device(), reason="there is no CUDA device")
def test_cuda_ran_nodes(graph: Path) -> None:
    assert open_proven(graph, "cuda")[1][CUDA] > 0
