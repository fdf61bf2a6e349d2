from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gated_set import picture

from benchmarks.near_duplicates import CHANGES, DISTANCES, main, pairs_within, saved_again


def test_shares_of_smooth_pictures() -> None:
    rng = np.random.default_rng(0)
    images = [picture(rng, (200, 160)) for _ in range(12)]
    assert pairs_within([*images, images[0]]) == [1] * len(DISTANCES)
    shares = saved_again(images)
    assert set(shares) == set(CHANGES)
    assert all(row == sorted(row) for row in shares.values())  # a larger distance finds no fewer
    assert shares["JPEG of quality 50"][1] == 1.0
    assert shares["mirrored"][-1] == 0.0


def test_a_folder_is_read_at_any_depth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set/a/b").mkdir(parents=True)
    picture(np.random.default_rng(0)).save(tmp_path / "set/a/b/0.png")
    picture(np.random.default_rng(1)).save(tmp_path / "set/1.png")
    monkeypatch.setattr("sys.argv", ["near_duplicates", str(tmp_path / "set")])
    main()
    said = capsys.readouterr().out
    assert "set, 2 images" in said
    assert "pairs of different images | 0 | 0 | 0 | 0" in said
