"""A million images: the manifest is made and written in less than 2 GB of memory."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pipeline.data.reading import Facts, signature
from pipeline.data.record import ReadingRecord

IMAGES, CLASSES, LINKS = 1_000_000, 200, 50_000  # a file system may allow 65 000 names of one file

MEASURED = """
import json, resource, sys
from pathlib import Path
from pipeline.data.manifest import build_manifest
from pipeline.params import Data
from pipeline.tables import MANIFEST, write_table
root, record, out = map(Path, sys.argv[1:])
found = build_manifest(Data(root=str(root), min_side=16, max_pixels=10_000, workers=4), record=record)
write_table(found.manifest, out, MANIFEST)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"images": len(found.manifest), "read": found.read, "peak": peak}))
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A million names of twenty files."""
    root = tmp_path / "images"
    for number in range(CLASSES):
        (root / f"domain_{number % 4}" / f"a_class_of_some_name_{number // 4:03d}").mkdir(parents=True)
    folders = sorted(root.glob("*/*"))
    source = tmp_path / "source.png"
    for number in range(IMAGES):
        if number % LINKS == 0:
            source = tmp_path / f"source_{number}.png"
            Image.new("RGB", (24, 20), (number // LINKS, 0, 0)).save(source)
        os.link(source, folders[number % CLASSES] / f"image_{number:012d}.png")
    yield root
    shutil.rmtree(root)


@pytest.mark.slow
def test_a_million_rows_fit_into_two_gigabytes(root: Path, tmp_path: Path) -> None:
    record = tmp_path / "read.sqlite"

    def facts(folder: Path) -> Iterator[tuple[str, str, Facts]]:
        for entry in os.scandir(folder):
            path = f"{folder.relative_to(root).as_posix()}/{entry.name}"
            digest = hashlib.sha256(path.encode()).hexdigest()
            yield path, signature(entry.stat()), Facts(digest, digest[:16], 24, 20, "RGB", "PNG", 90)

    with ReadingRecord(record, root) as file:  # as an earlier run would have left it
        for folder in root.glob("*/*"):
            file.add(facts(folder))
    command = [sys.executable, "-c", MEASURED, str(root), str(record), str(tmp_path / "manifest.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=True)
    measured = json.loads(done.stdout)
    print(done.stderr, measured, file=sys.stderr)
    assert (measured["images"], measured["read"]) == (IMAGES, 0)
    assert measured["peak"] < 2e9
