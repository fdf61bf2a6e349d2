from __future__ import annotations

import pandas as pd
import pytest
from small_worlds import manifest_of, world  # noqa: F401


@pytest.fixture
def manifest(world) -> pd.DataFrame:  # noqa: F811
    return manifest_of(world[0])
