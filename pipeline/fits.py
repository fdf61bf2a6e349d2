"""What the fits of every method, target and seed leave behind; `finetune` writes it, later stages read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.tables import FITS, HISTORY, atomic_path, read_table, write_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_HEADS = "heads.safetensors"


@dataclass(frozen=True)
class Head:
    """What a fit leaves behind: enough to give the logits of raw image features, with nothing else at hand.

    Attributes:
        kind: names the formula, see `pipeline.methods`.
        arrays: float32, by the formula's argument names.
        scalars: finite numbers, by the formula's argument names.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    scalars: Mapping[str, float]


@dataclass(frozen=True)
class Fits:
    """F fits side by side.

    Attributes:
        table: FITS table, F rows.
        heads: by the number in the table's column `fit`; one read from disk is loaded when it is asked for.
        history: HISTORY table, one row per trained fit and epoch.
    """

    table: pd.DataFrame
    heads: Mapping[int, Head]
    history: pd.DataFrame


def write_fits(fits: Fits, folder: Path) -> None:
    """Write all parts; the table comes last, so a folder without it is not a whole one."""
    import numpy as np
    from safetensors.numpy import save_file

    tensors = {
        f"{number}.{name}": np.ascontiguousarray(array, dtype=np.float32)
        for number, head in fits.heads.items()
        for name, array in head.arrays.items()
    }
    with atomic_path(folder / _HEADS) as temporary:
        save_file(tensors, temporary)
        temporary.chmod(0o644)  # safetensors replaces the file it is given
    write_table(fits.history, folder / "history.parquet", HISTORY)
    write_table(fits.table, folder / "fits.parquet", FITS)


def read_fits(folder: Path) -> Fits:
    """Read what `write_fits` wrote; arrays stay on disk until used.

    Raises:
        DataError: a part is missing, damaged, or does not fit the others.
    """
    table = read_table(folder / "fits.parquet", FITS)
    return Fits(
        table=table,
        heads=_StoredHeads(folder / _HEADS, table),
        history=read_table(folder / "history.parquet", HISTORY),
    )


class _StoredHeads(Mapping[int, Head]):
    """Heads in a safetensors file, read one at a time."""

    def __init__(self, path: Path, table: pd.DataFrame) -> None:
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise DataError(f"{path}: no such file; run `dvc repro` to make it")
        try:
            self._file: Any = safe_open(path, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise DataError(f"{path}: not readable: {error}; run `dvc repro -f finetune`") from None
        self._rows = {int(row["fit"]): (str(row["kind"]), str(row["scalars"])) for row in table.to_dict("records")}
        self._names: dict[int, list[str]] = {number: [] for number in self._rows}
        for key in self._file.keys():  # type: ignore[no-untyped-call]  # noqa: SIM118
            number, _, name = key.partition(".")
            if not number.isdecimal() or int(number) not in self._names:
                raise DataError(f"{path}: {key!r} belongs to no fit of its table; run `dvc repro -f finetune`")
            self._names[int(number)].append(name)
        empty = [number for number, names in self._names.items() if not names]
        if empty:
            raise DataError(f"{path}: holds nothing of fit {empty[0]}; run `dvc repro -f finetune`")

    def __getitem__(self, number: int) -> Head:
        kind, scalars = self._rows[number]
        arrays = {name: self._file.get_tensor(f"{number}.{name}") for name in self._names[number]}
        return Head(kind, arrays, json.loads(scalars))

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
