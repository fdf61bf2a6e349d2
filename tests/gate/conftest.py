from __future__ import annotations

import hashlib

import pandas as pd
import pytest
from small_worlds import table_of, world  # noqa: F401

from pipeline.tables import MANIFEST


@pytest.fixture
def manifest(world) -> pd.DataFrame:  # noqa: F811
    """Of the world's images; every image has a look of its own."""
    paths = list(world[0].index["path"])
    digests = [hashlib.sha256(path.encode()).hexdigest() for path in paths]
    frame = pd.DataFrame({"path": paths, "sha256": digests}).assign(
        pool="", width=8, height=8, mode="RGB", format="PNG", bytes=1, defect="", part=""
    )
    frame["phash"] = [digest[:16] for digest in digests]
    frame["domain"], frame["class"] = (frame["path"].str.split("/").str[n] for n in (0, 1))
    return frame[list(MANIFEST.columns)].astype(dict(MANIFEST.columns))
