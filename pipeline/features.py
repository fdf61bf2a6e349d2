"""The features that `featurize` writes and later stages read: one folder of arrays, an index and a description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.tables import FEATURE_INDEX, read_array, read_json, read_table, write_array, write_json, write_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Features:
    """Raw (not normalised) features of the frozen towers.

    Attributes:
        index: FEATURE_INDEX table, N rows.
        clean: (N, D) float32, one clean view of every image, in the index's order.
        views: (T, V, D) float32, V augmented views of the T images that some fit trains on.
        text: (C, D) float32, one prototype per class that some fit knows, in the order of `meta["classes"]`.
        meta: model, weights_sha256, classes (sorted), names (how prompts call them), prompts, logit_scale (already
            exponentiated), image_size, precision, mean, std, views, view_seed.
        words: (W, D) float32, a prototype of each word for other things (`backbone.words`); None where none is given.
    """

    index: pd.DataFrame
    clean: np.ndarray
    views: np.ndarray
    text: np.ndarray
    meta: dict[str, Any]
    words: np.ndarray | None = None

    def clean_rows(self, paths: pd.Series) -> np.ndarray:
        """Rows of `clean` for these paths.

        Raises:
            DataError: a path has no features.
        """
        return self._rows(paths, self._clean_row)

    def view_rows(self, paths: pd.Series) -> np.ndarray:
        """Rows of `views` for these paths.

        Raises:
            DataError: a path has no augmented views.
        """
        rows = self._rows(paths, self._view_row)
        if (rows < 0).any():
            raise DataError(f"{paths[rows < 0].iloc[0]}: no augmented views; run `dvc repro featurize`")
        return rows

    def text_rows(self, classes: Sequence[str]) -> np.ndarray:
        """Rows of `text` for these classes.

        Raises:
            DataError: a class has no text features.
        """
        import numpy as np

        row_of = {name: row for row, name in enumerate(self.meta["classes"])}
        missing = [name for name in classes if name not in row_of]
        if missing:
            raise DataError(f"{missing[0]}: no text features; run `dvc repro featurize`")
        return np.array([row_of[name] for name in classes], np.int64)

    @cached_property
    def _clean_row(self) -> pd.Series:
        import pandas as pd

        return pd.Series(range(len(self.index)), index=self.index["path"])

    @cached_property
    def _view_row(self) -> pd.Series:
        return self.index.set_index("path")["view_row"]

    def _rows(self, paths: pd.Series, row_of: pd.Series) -> np.ndarray:
        rows = paths.map(row_of)
        if rows.isna().any():
            raise DataError(f"{paths[rows.isna()].iloc[0]}: no features; run `dvc repro featurize`")
        return rows.to_numpy(dtype="int64")


def write_features(features: Features, folder: Path) -> None:
    """Write all parts; the description comes last, so a folder without it is incomplete."""
    write_table(features.index, folder / "index.parquet", FEATURE_INDEX)
    write_array(features.clean, folder / "clean.npy")
    write_array(features.views, folder / "views.npy")
    write_array(features.text, folder / "text.npy")
    if features.words is not None:
        write_array(features.words, folder / "words.npy")
    write_json(features.meta, folder / "meta.json")


def read_features(folder: Path, *, mapped: bool = False) -> Features:
    """Read what `write_features` wrote; the clean features stay memory-mapped.

    Args:
        folder: that has all parts.
        mapped: let the augmented views stay so too, for a reader that needs few of them or none.
    Raises:
        DataError: a part is missing, damaged, or does not match the others.
    """
    features = Features(
        meta=read_json(folder / "meta.json"),
        index=read_table(folder / "index.parquet", FEATURE_INDEX),
        clean=read_array(folder / "clean.npy", ndim=2, mmap=True),
        views=read_array(folder / "views.npy", ndim=3, mmap=mapped),
        text=read_array(folder / "text.npy", ndim=2),
        words=read_array(folder / "words.npy", ndim=2) if (folder / "words.npy").exists() else None,
    )
    rows, width = features.clean.shape
    consistent = (
        rows == len(features.index)
        and features.views.shape[2] == width
        and features.text.shape == (len(features.meta["classes"]), width)
        and (features.words is None or features.words.shape[1] == width)
    )
    if not consistent:
        raise DataError(f"{folder}: its arrays do not match; run `dvc repro -f featurize`")
    return features
