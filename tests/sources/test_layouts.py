"""The layouts that docs/datasets.md shows are read, and become what it says."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from opening import open_with

from pipeline.data.listing import list_images
from pipeline.sources.layouts import Example, examples, page
from pipeline.sources.options import KINDS

KNOWN = {example.name: example for example in examples()}


def build(example: Example, root: Path) -> Path:
    """The example's files below root; what is to be added."""
    content = {path: (text or f"an image: {path}").encode() for path, text in example.files.items()}
    if example.pack.endswith(".zip"):
        with zipfile.ZipFile(root / example.pack, "w") as archive:
            for path, data in content.items():
                archive.writestr(path, data)
        return root / example.pack
    if example.pack:
        with tarfile.open(root / example.pack, "w") as tar:
            for path, data in content.items():
                member = tarfile.TarInfo(path)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return root / example.pack
    for path, data in content.items():
        (root / "pets" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "pets" / path).write_bytes(data)
    return root / example.path


@pytest.mark.parametrize("name", KNOWN)
def test_every_layout_of_the_page_becomes_what_it_says(tmp_path: Path, name: str) -> None:
    example = KNOWN[name]
    source = open_with(build(example, tmp_path), name="pets", **example.options)
    read = {}
    for entry in source:
        read[entry.target] = entry.part
        stored = tmp_path / "data" / entry.target
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(entry.read())
    assert read == dict(example.becomes)
    if not example.options.get("open_set"):
        assert list_images(tmp_path / "data").paths == sorted(example.becomes)  # what ingest takes


def test_every_kind_of_source_is_on_the_page(tmp_path: Path) -> None:
    kinds = {open_with(build(e, _new(tmp_path, n)), name="pets", **e.options).kind for n, e in KNOWN.items()}
    assert kinds == set(KINDS) - {"benchmark"}  # which have sections of their own


def test_a_section_is_drawn_as_a_tree() -> None:
    assert page().count("\n### ") == len(KNOWN)
    drawn = """
$ croft data add pets/ --domain photo --name pets

pets/              data/pets/
├── cat/           └── photo/
│   └── 1.png          ├── cat/
└── dog/               │   └── 1.png
    └── 1.png          └── dog/
                           └── 1.png
"""
    assert drawn in page()


def _new(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    return folder
