"""The tables of an evaluation, straight from DVC's cache: the workspace is neither read nor changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.comparison.resolve import CHOICE, MANIFEST, SCORES, Side
from pipeline.dvc_runner.cache import Cache
from pipeline.dvc_runner.missing import missing_outputs
from pipeline.errors import DataError
from pipeline.params.choice import AUTO
from pipeline.phrases import suggest
from pipeline.tables import read_json

if TYPE_CHECKING:
    import pandas as pd

_SCORES = ["method", "target", "seed", "path", "role", "open_set", "label", "predicted", "score"]
_MANIFEST = ["path", "sha256", "phash"]
_GROUP = "group"  # which the manifests of older revisions lack


@dataclass(frozen=True)
class Evaluated:
    """One method of an evaluation.

    Attributes:
        side: what it is.
        method: its name.
        score: name of the open-set score that its numbers are of; "" where nothing says so.
        scores: its rows of the SCORES table, without the confidence.
        images: path, sha256, phash and group of the MANIFEST table.
    """

    side: Side
    method: str
    score: str
    scores: pd.DataFrame
    images: pd.DataFrame


def read_evaluated(side: Side, cache: Cache, method: str = "") -> Evaluated:
    """Read one method's scores, and the images that they are about.

    Args:
        side: the evaluation.
        cache: DVC's.
        method: its name; by default the one that was deployed.
    Raises:
        DataError: the cache lacks a file, a file is damaged, or the method was not evaluated.
    """
    import numpy as np

    scores = _read(side, cache, SCORES, _SCORES)
    method = method or _deployed(side, cache)
    rows = scores[scores["method"] == method]
    if rows.empty:
        known = suggest(method, scores["method"].unique())
        raise DataError(f"{side.title}: method {method!r} was not evaluated; {known}")
    if not np.isfinite(rows["score"]).all():
        raise DataError(f"{side.title}: scores of {method} are not finite; the model that made them is broken")
    return Evaluated(side, method, _scored_by(side, cache), rows, _images(side, cache))


def _images(side: Side, cache: Cache) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        grouped = _GROUP in pq.read_schema(_found(side, cache, MANIFEST)).names
    except (OSError, pa.ArrowException):
        grouped = False  # `_read` says what is wrong
    images = _read(side, cache, MANIFEST, [*_MANIFEST, _GROUP] if grouped else _MANIFEST)
    return images if grouped else images.assign(**{_GROUP: ""})


def _deployed(side: Side, cache: Cache) -> str:
    """The method that was chosen; in older evaluations, which chose none, the one that params.yaml named."""
    named = str(side.lock.params.get("export", {}).get("method", AUTO))
    return named if named != AUTO else str(read_json(_found(side, cache, CHOICE))["method"])


def _scored_by(side: Side, cache: Cache) -> str:
    """The open-set score that was chosen or named; evaluations of before there was a choice do not say."""
    return str(read_json(_found(side, cache, CHOICE))["score"]) if CHOICE in side.lock.outs else ""


def _found(side: Side, cache: Cache, path: str) -> Path:
    outs = side.lock.outs
    if path not in outs:
        raise DataError(f"{side.title}: nothing records how {path} was made; run `croft run` there and commit dvc.lock")
    file = cache.object(outs[path])
    if not file.is_file():
        # One read needs them all, so one command brings them all.
        files = [SCORES, CHOICE, MANIFEST] if cache.remote else [path]
        way = missing_outputs(cache, files, revision="that revision", stage="evaluate")
        raise DataError(f"{side.title}: {path} is not in DVC's cache; {way}")
    return file


def _read(side: Side, cache: Cache, path: str, columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    file = _found(side, cache, path)
    try:
        return pd.read_parquet(file, columns=columns)  # only these: other revisions may have others beside them
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: not a readable {Path(path).stem} table of {side.title}: {reason}") from None
