"""The device that was asked for, or an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import CheckpointError, DeviceError
from pipeline.serving.session import CPU, CUDA, _cuda_device, make_session


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
