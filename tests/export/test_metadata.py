"""The metadata of a safetensors file has one order, whatever order the library chose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from pipeline.export.metadata import sort_metadata


def test_equal_content_has_equal_bytes(tmp_path: Path) -> None:
    facts = {name: f'"{name}\n é' for name in "hgfedcba"}  # 8! orders: the library's own is hardly ever this one
    written = []
    for number in range(4):
        path = tmp_path / f"{number}.safetensors"
        save_file({"b": np.arange(3.0), "a": np.ones((2, 2), np.float32)}, path, metadata=facts)
        sort_metadata(path)
        written.append(path.read_bytes())
        with safe_open(path, "np") as file:
            assert file.metadata() == facts
            np.testing.assert_array_equal(file.get_tensor("b"), np.arange(3.0))
            np.testing.assert_array_equal(file.get_tensor("a"), np.ones((2, 2)))
    assert len(set(written)) == 1


def test_a_file_without_metadata_stays(tmp_path: Path) -> None:
    save_file({"a": np.ones(2)}, tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    sort_metadata(tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == before
