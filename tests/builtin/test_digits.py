"""The built-in digits: same seed, same bytes; each image in one domain; classes balanced; nothing half-written."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.builtin.digits.strokes import place
from pipeline.builtin.digits.styles import STYLES
from pipeline.builtin.digits.write import SIZE, assign_domains, draw_all, write
from pipeline.builtin.handwriting import CLASS_NAMES, load
from pipeline.errors import DataError


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_two_runs_give_the_same_bytes(digits: Path, tmp_path: Path) -> None:
    # the second run is another process, with another hash seed: no set or dict order may reach the files
    command = [sys.executable, "-m", "pipeline.builtin.digits", str(tmp_path / "again")]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"1446 images in {tmp_path / 'again'}\n"
    assert _hashes(tmp_path / "again") == _hashes(digits)


def test_layout_and_balance(digits: Path) -> None:
    files = list(digits.rglob("*.png"))
    assert {path.parts[-3] for path in files} == {"chalk", "ink", "neon", "outline"}
    assert {path.parts[-2] for path in files} == set(CLASS_NAMES)
    # each source image is drawn once: 1,797 less the 351 held back
    assert len({path.stem for path in files}) == len(files) == 1797 - 351
    counts = Counter(path.parts[-3:-1] for path in files)
    # the smallest class has 139 images left: 139 = 34 + 3 * 35, so at least 34 each; the largest 156 = 4 * 39
    assert min(counts.values()) == 34
    assert max(counts.values()) == 39
    # a class's remainder of at most 3 images is spread by class over the domains: 10 images at most between two domains
    by_domain = Counter(path.parts[-3] for path in files)
    assert max(by_domain.values()) - min(by_domain.values()) <= 10
    with Image.open(files[0]) as picture:
        assert picture.size == (SIZE, SIZE)
        assert picture.mode == "RGB"


def test_file_name_leads_back_to_the_source(digits: Path) -> None:
    digits_part = load("dataset")
    for index, label in list(zip(digits_part.indices, digits_part.labels, strict=True))[::200]:
        (found,) = digits.rglob(f"{index:04d}.png")
        assert found.parent.name == CLASS_NAMES[label]


def test_another_seed_draws_other_pictures() -> None:
    first, other = next(draw_all(0)), next(draw_all(1))
    assert first[2] == other[2]
    assert not np.array_equal(first[3], other[3])


def test_domains_are_balanced_within_each_class() -> None:
    labels = np.repeat([0, 1, 2], [7, 4, 9])
    chosen = assign_domains(labels, domains=4, seed=3)
    # 7 over 4 domains: 2, 2, 2, 1; 4: one each; 9: 3, 2, 2, 2
    assert [sorted(np.bincount(chosen[labels == label], minlength=4)) for label in range(3)] == [
        [1, 2, 2, 2],
        [1, 1, 1, 1],
        [2, 2, 2, 3],
    ]


def test_the_domains_look_different() -> None:
    # the mean picture over one and the same digit, drawn five times a style: light grounds against dark ones, and the
    # contour alone against the filled stroke
    image = load("dataset").images[0]
    means = {}
    for name, style in STYLES.items():
        drawn = [style(place(image, SIZE, np.random.default_rng(k)), np.random.default_rng(k)) for k in range(5)]
        means[name] = np.mean(drawn)
        assert np.all(np.isfinite(drawn))
    assert means["neon"] < 0.4
    assert means["chalk"] < 0.5
    assert means["ink"] > 0.6
    assert means["outline"] > 0.6


def test_a_former_folder_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "digits"
    (out / "old").mkdir(parents=True)
    (out / "old" / "left.txt").write_text("former")

    def breaks(seed: int) -> Iterator[object]:
        yield from islice(draw_all(seed), 3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.builtin.digits.write.draw_all", breaks)
        with pytest.raises(KeyboardInterrupt):
            write(out)
    assert _hashes(tmp_path).keys() == {"digits/old/left.txt"}  # an interrupted run leaves the former folder alone

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.builtin.digits.write.draw_all", lambda seed: islice(draw_all(seed), 3))
        assert write(out) == 3
    assert len(list(out.rglob("*.png"))) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert not (out / "old").exists()


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "digits").write_text("")
    with pytest.raises(DataError, match=r"digits: expected a folder"):
        write(tmp_path / "digits")
