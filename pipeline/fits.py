"""The trained adapters of every method, target and seed: what `finetune` writes, `evaluate` and `export` read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.tables import FITS, HISTORY, read_array, read_table, write_array, write_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Fits:
    """F fits side by side.

    Attributes:
        table: FITS table, F rows.
        image_weights, text_weights: (F, D, D) float32, the adapters W_I and W_T of row `fit`.
        history: HISTORY table, one row per trained fit and epoch.
    """

    table: pd.DataFrame
    image_weights: np.ndarray
    text_weights: np.ndarray
    history: pd.DataFrame


def write_fits(fits: Fits, folder: Path) -> None:
    """Write all parts; the table comes last, so a folder without it is not a whole one."""
    write_array(fits.image_weights, folder / "image_weights.npy")
    write_array(fits.text_weights, folder / "text_weights.npy")
    write_table(fits.history, folder / "history.parquet", HISTORY)
    write_table(fits.table, folder / "fits.parquet", FITS)


def read_fits(folder: Path) -> Fits:
    """Read what `write_fits` wrote; the weights stay memory-mapped.

    Raises:
        DataError: a part is missing, damaged, or does not fit the others.
    """
    fits = Fits(
        table=read_table(folder / "fits.parquet", FITS),
        image_weights=read_array(folder / "image_weights.npy", ndim=3, mmap=True),
        text_weights=read_array(folder / "text_weights.npy", ndim=3, mmap=True),
        history=read_table(folder / "history.parquet", HISTORY),
    )
    if not len(fits.table) == len(fits.image_weights) == len(fits.text_weights):
        raise DataError(f"{folder}: its arrays do not fit together; run `dvc repro -f finetune`")
    return fits
