from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.data.manifest import build_manifest
from pipeline.errors import DataError
from pipeline.params import Data
from pipeline.tables import MANIFEST, REFUSED, read_table, write_table


def build(root: Path) -> pd.DataFrame:
    found = build_manifest(Data(root=str(root), min_side=16, max_pixels=10_000, workers=2))
    assert found.refused.empty
    return found.manifest


def test_rows_say_what_the_files_hold(tree: Path, tmp_path: Path) -> None:
    grey = Image.fromarray(np.full((30, 18), 7, dtype=np.uint8))
    grey.save(tree / "a" / "cat" / "grey.bmp")
    turned = Image.fromarray(np.zeros((20, 40, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was turned by 90 degrees
    turned.save(tree / "b" / "dog" / "turned.JPG", exif=exif)
    (tree / "a" / ".DS_Store").write_bytes(b"junk")
    (tree / ".gitignore").write_text("*")

    manifest = build(tree)

    files = sorted(p.relative_to(tree).as_posix() for p in tree.rglob("*.*") if not p.name.startswith("."))
    assert list(manifest["path"]) == files
    by_path = manifest.set_index("path")
    for path in files:
        content = (tree / path).read_bytes()
        assert by_path.at[path, "sha256"] == hashlib.sha256(content).hexdigest()
        assert by_path.at[path, "bytes"] == len(content)
        assert [by_path.at[path, "domain"], by_path.at[path, "class"]] == path.split("/")[:2]
    sizes = by_path[["width", "height", "mode", "format"]]
    assert list(sizes.loc["a/cat/0.png"]) == [24, 20, "RGB", "PNG"]
    assert list(sizes.loc["a/cat/grey.bmp"]) == [18, 30, "L", "BMP"]
    assert list(sizes.loc["b/dog/turned.JPG"]) == [20, 40, "RGB", "JPEG"]  # 40 x 20 as stored
    write_table(manifest, tmp_path / "m.parquet", MANIFEST)
    assert read_table(tmp_path / "m.parquet", MANIFEST).equals(manifest)


def test_pools_lie_beside_the_domains(tree: Path) -> None:
    pool = tree / "open_sets" / "dtd" / "banded"
    pool.mkdir(parents=True)
    shutil.copy(tree / "a/cat/0.png", pool / "0.png")
    manifest = build(tree).set_index("path")
    assert len(manifest) == 9
    row = manifest.loc["open_sets/dtd/banded/0.png"]
    assert list(row[["domain", "class", "pool"]]) == ["", "banded", "dtd"]
    assert row["phash"] == manifest.at["a/cat/0.png", "phash"]
    assert set(manifest.drop("open_sets/dtd/banded/0.png")["pool"]) == {""}


def test_link_inside_the_folder_is_read(tree: Path) -> None:
    (tree / "a" / "cat" / "link.png").symlink_to(tree / "a" / "cat" / "0.png")
    assert len(build(tree)) == 9


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing root": (shutil.rmtree, r"no such folder of images; .*dvc repro.*dvc pull.*data\.root"),
    "no domains": (
        lambda r: [shutil.rmtree(r / d) for d in "ab"],
        r"no folders of domains found; expected domain/class/image",
    ),
    "no classes": (lambda r: (r / "c").mkdir(), r"images/c: a domain without class folders"),
    "empty class": (lambda r: (r / "b/fox").mkdir(), r"images/b/fox: a class folder without images"),
    "pool without classes": (lambda r: (r / "open_sets/dtd").mkdir(parents=True), r"dtd: a pool without class folders"),
    "pools too flat": (
        lambda r: [(r / "open_sets/dtd").mkdir(parents=True), (r / "open_sets/dtd/0.png").touch()],
        r"dtd: a pool without class folders",
    ),
    "only pools": (
        lambda r: [(r / "open_sets").mkdir(), *(shutil.rmtree(r / d) for d in "ab")],
        "no folders of domains",
    ),
    "image among domains": (
        lambda r: (r / "x.png").touch(),
        r"1 bad image.* x\.png: a file at the wrong depth; expected domain/",
    ),
    "image among classes": (lambda r: (r / "a/x.png").touch(), r" a/x\.png: a file at the wrong depth"),
    "folder too deep": (lambda r: (r / "a/cat/more").mkdir(), r"images/a/cat/more: a folder inside a class folder"),
    "folder link out": (lambda r: (r / "c").symlink_to("/etc"), r"images/c: a link that leaves images"),
    "not UTF-8": (
        lambda r: os.close(os.open(bytes(r / "a/cat") + b"/\xff.png", os.O_CREAT)),
        r"xff\.png: the name is not UTF-8",
    ),
    "name of the mean": (lambda r: (r / "a").rename(r / "mean"), r"a domain cannot be called 'mean'"),
    "reserved name": (lambda r: (r / "a").rename(r / "*"), r"a domain cannot be called '\*'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_in_one_line(tree: Path, fault: str) -> None:
    plant, message = FAULTS[fault]
    plant(tree)
    with pytest.raises(DataError, match=message) as caught:
        build(tree)
    assert "\n" not in str(caught.value)


def test_many_bad_images_are_counted_and_twenty_named(tree: Path) -> None:
    for number in range(23):
        (tree / "a/cat" / f"bad{number:02d}.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"23 bad images .*bad19\.png: not an image.*; and 3 more$") as caught:
        build(tree)
    assert str(caught.value).count("not an image") == 20


def test_refused_images_are_listed_and_the_others_kept(tree: Path, tmp_path: Path) -> None:
    whole = build(tree)
    cut(tree / "a/cat/0.png")
    (tree / "b/dog/notes.txt").touch()
    (tree / "readme.md").touch()
    os.close(os.open(bytes(tree / "a/dog") + b"/\xff.png", os.O_CREAT))
    found = build_manifest(Data(root=str(tree), min_side=16, max_pixels=10_000, workers=2, on_bad_image="skip"))
    manifest, refused = found.manifest, found.refused
    assert list(refused["path"]) == ["a/cat/0.png", "a/dog/\\xff.png", "b/dog/notes.txt", "readme.md"]
    assert [problem.split(";")[0].split(":")[0] for problem in refused["problem"]] == [
        "damaged image",
        "the name is not UTF-8",
        "not an image file",
        "a file at the wrong depth",
    ]
    assert manifest.equals(whole[whole["path"] != "a/cat/0.png"].reset_index(drop=True))
    write_table(refused, tmp_path / "r.parquet", REFUSED)
    assert read_table(tmp_path / "r.parquet", REFUSED).equals(refused)
