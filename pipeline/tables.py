"""The tables, arrays and JSON files that pass between stages: columns, dtypes, units, and atomic readers and writers.

Every writer first writes a sibling temporary file, flushes it to disk and renames it over the target, so that a
reader sees the whole old file or the whole new one and never a part.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DEPLOY = "*"
"""The target of the fit that is deployed: no domain is held out; ingest refuses a domain of this name."""

OPEN_SETS = "open_sets"
"""The folder of the data root that holds pools of unknown images: open_sets/pool/class/image."""

PARTS_FILE = "parts.csv"
"""The file of the data root that may give images a part: columns path, part."""

PARTS = ("train", "val", "test")

GROUPS_FILE = "groups.csv"
"""The file of the data root that may give images a group: columns path, group."""

MEAN = "mean"
"""Where results are listed by held-out domain, the mean over them; ingest refuses a domain of this name."""

IN_DISTRIBUTION = "in-distribution"
"""The target of a fit that holds out no domain and is tested on unseen images of its own; ingest refuses the name."""

UNKNOWN_CLASSES = "classes"
"""The open set that a domain's own unknown classes are; ingest refuses a pool of this name."""

TRAIN = "train"
VALIDATION = "validation"
TEST_ID = "test_id"
TEST_SHIFTED = "test_shifted"
TEST_UNKNOWN = "test_unknown"
TEST_UNKNOWN_ID = "test_unknown_id"
ROLES = (TRAIN, VALIDATION, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID)
"""What an image is for in one fit (docs/protocols.md).

train, validation: known classes of the source domains. test_id: the remaining images of these. test_shifted: known
classes of the held-out domain. test_unknown: unknown classes of the held-out domain, so that only the class
distinguishes them from test_shifted, and every pool. test_unknown_id: unknown classes of the source domains, compared
with test_id. With the target IN_DISTRIBUTION there is no shifted domain: test_id takes the place of test_shifted, and
test_unknown that of test_unknown_id. The deploy fit has train and validation only.
"""


@dataclass(frozen=True)
class Table:
    """A table's name and its columns with their dtypes; rows are unique by `key`."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]


MANIFEST = Table(
    "manifest",
    {
        "path": "str",  # relative to the data root, POSIX separators
        "domain": "str",  # "" for an image of a pool
        "class": "str",
        "pool": "str",  # of candidate unknowns below OPEN_SETS; "" for an image of a domain
        "sha256": "str",  # of the file's bytes, 64 hex digits
        "phash": "str",  # perceptual hash of the decoded image, 64 bits as 16 hex digits
        "width": "int32",  # pixels, after EXIF rotation
        "height": "int32",
        "mode": "str",  # Pillow's colour mode as stored
        "format": "str",  # Pillow's format name
        "bytes": "int64",
        "defect": "str",  # what is wrong with a file whose whole picture can be read; "" for nothing
        "part": "str",  # one of PARTS, as PARTS_FILE gives it; "" for an image that is free
        "group": "str",  # of images that belong together, as GROUPS_FILE gives it; "" for an image that is alone
    },
    ("path",),
)
REFUSED = Table(
    "refused",
    {
        "path": "str",  # relative to the data root; bytes that are not UTF-8 as \\xff
        "problem": "str",  # why the file cannot be used
    },
    ("path", "problem"),
)
SPLITS = Table(
    "splits",
    {
        "target": "str",  # the held-out domain, IN_DISTRIBUTION or DEPLOY
        "seed": "int64",
        "path": "str",  # as in the manifest
        "role": "str",  # one of ROLES
        "class": "str",  # as in the manifest
        "label": "int64",  # index into the fit's own sorted known classes; -1 for an unknown class
        "open_set": "str",  # "" for a known class, UNKNOWN_CLASSES for a domain's unknown one, else the pool's name
    },
    ("target", "seed", "path"),
)
FEATURE_INDEX = Table(
    "feature_index",
    {
        "path": "str",  # row i of this table is row i of clean.npy
        "view_row": "int64",  # row of views.npy, or -1 for an image that is never trained on
    },
    ("path",),
)
FITS = Table(
    "fits",
    {
        "fit": "int64",  # prefix of the fit's arrays in heads.safetensors
        "method": "str",
        "kind": "str",  # the formula that its arrays and scalars go into
        "target": "str",
        "seed": "int64",
        "epoch": "int64",  # the epoch that was kept; -1 where nothing was trained
        "validation_accuracy": "float64",  # 0 to 1, source domains
        "diverged": "bool",
        "scalars": "str",  # of the formula, as JSON, keys sorted
        "settings": "str",  # as trained, as JSON, keys sorted
    },
    ("method", "target", "seed"),
)
HISTORY = Table(
    "history",
    {
        "method": "str",
        "target": "str",
        "seed": "int64",
        "epoch": "int64",
        "learning_rate": "float64",
        "loss": "float64",  # mean over the epoch's steps
        "cross_entropy": "float64",
        "validation_accuracy": "float64",
    },
    ("method", "target", "seed", "epoch"),
)
SCORES = Table(
    "scores",
    {
        "method": "str",
        "target": "str",
        "seed": "int64",
        "path": "str",
        "role": "str",  # one of the ROLES that test
        "open_set": "str",  # as in the splits
        "label": "int64",  # index into the fit's own sorted known classes; -1 for an unknown class
        "predicted": "int64",  # such an index
        "confidence": "float32",  # largest class probability, 0 to 1
        "score": "float32",  # larger = more open-set
    },
    ("method", "target", "seed", "path"),
)
DETECTION = Table(
    "detection",
    {
        "method": "str",
        "target": "str",
        "seed": "int64",
        "open_set": "str",  # as in the splits
        "option": "str",  # an open-set score and where it looks
        "auroc": "float64",  # 0 to 1
        "fpr95_id_positive": "float64",  # unknown images accepted when 95 % of the known ones are
        "fpr95_ood_positive": "float64",  # known images rejected when 95 % of the unknown ones are
    },
    ("method", "target", "seed", "open_set", "option"),
)


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path next to `target` that replaces `target` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=f".tmp{target.suffix}")
    os.close(handle)
    temporary = Path(name)
    temporary.chmod(0o644)  # mkstemp's 0600 would hide outputs from the other users of a shared cache
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(frame: pd.DataFrame, path: Path, table: Table) -> None:
    """Write `frame` as Parquet after checking columns, dtypes and key.

    Raises:
        DataError: a column is missing or unknown, a dtype cannot be converted, or a key occurs twice.
    """
    checked = _checked(frame, table, str(path))
    with atomic_path(path) as temporary:
        checked.to_parquet(temporary, index=False)


def read_table(path: Path, table: Table) -> pd.DataFrame:
    """Read a Parquet table that `write_table` wrote.

    Raises:
        DataError: the file is missing or is not this table.
    """
    import pandas as pd

    if not path.is_file():
        raise DataError(f"{path}: no such {table.name} table; run `dvc repro` to create it")
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable {table.name} table: {' '.join(str(error).split())}") from None
    return _checked(frame, table, str(path))


def _checked(frame: pd.DataFrame, table: Table, source: str) -> pd.DataFrame:
    if set(frame.columns) != set(table.columns):
        raise DataError(
            f"{source}: {table.name}: expected the columns {', '.join(sorted(table.columns))}, "
            f"found {', '.join(sorted(map(str, frame.columns)))}"
        )
    try:
        frame = frame[list(table.columns)].astype(dict(table.columns))
    except (TypeError, ValueError) as error:
        raise DataError(f"{source}: {table.name}: {' '.join(str(error).split())}") from None
    repeated = frame.duplicated(list(table.key))
    if repeated.any():
        row = frame.loc[repeated, list(table.key)].iloc[0].to_dict()
        raise DataError(f"{source}: {table.name}: the key {row} occurs twice")
    return frame.reset_index(drop=True)


def write_json(content: object, path: Path) -> None:
    """Write JSON with sorted keys, so that equal content has an equal hash; NaN is refused (JSON has none)."""
    write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", path)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: the file is missing or is not JSON.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; run `dvc repro` to create it")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: not readable JSON: {error}") from None


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a small table for people and `dvc plots`; six significant digits."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def write_array(array: np.ndarray, path: Path) -> None:
    """Write one array as .npy, without pickle."""
    import numpy as np

    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def read_array(path: Path, *, ndim: int, mmap: bool = False) -> np.ndarray:
    """Read one .npy array with `ndim` axes; with `mmap` its bytes stay on disk until used.

    Raises:
        DataError: the file is missing, is not a plain array, or has another number of axes.
    """
    import numpy as np

    if not path.is_file():
        raise DataError(f"{path}: no such array; run `dvc repro` to create it")
    try:
        array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a readable array: {error}") from None
    if array.ndim != ndim:
        raise DataError(f"{path}: expected {ndim} axes, found shape {array.shape}")
    return np.asarray(array) if not mmap else array
