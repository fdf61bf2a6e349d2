"""Which images the report shows: some of each domain and pool, confident mistakes, unknown images taken for known."""

from __future__ import annotations

import io
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.measures import known_tested
from pipeline.images import open_rgb
from pipeline.params import Data
from pipeline.splits import known_by_fit, known_classes
from pipeline.tables import TEST_UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

COUNT = 10
"""Images at most of each domain and pool (one a class), mistakes, and accepted unknown images."""


@dataclass(frozen=True)
class Example:
    """An image with its caption.

    Attributes:
        png: encoded bytes.
        title: its class.
        note: a second line, or "".
    """

    png: bytes
    title: str
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Images of the report; `domains` holds pools too; `mistakes` and `accepted` belong to the deployed method."""

    domains: dict[str, list[Example]] = field(default_factory=dict)
    mistakes: list[Example] = field(default_factory=list)
    accepted: list[Example] = field(default_factory=list)


def build_gallery(
    manifest: pd.DataFrame,
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    data: Data,
    *,
    method: str,
    limits: pd.DataFrame,
) -> Gallery:
    """Choose and read the images of the report.

    Args:
        manifest, scores, splits: MANIFEST, SCORES and SPLITS tables.
        limits: threshold of each method, target and seed, of `evaluation.predict`.
        data: the data root, and the number of pixels above which an image is refused.
        method: whose mistakes to show.
    Returns:
        Thumbnails, the same for the same tables.
    Raises:
        DataError: an image is missing or damaged.
    """
    pools = dict(zip(manifest["path"], manifest["pool"], strict=True))
    true_class = dict(zip(manifest["path"], manifest["class"], strict=True))
    of_method, classes, known = scores[scores["method"] == method], known_classes(splits), known_by_fit(splits)

    def example(path: str, note: str = "") -> Example:
        return Example(thumbnail(Path(data.root, path), max_pixels=data.max_pixels), true_class[path], note)

    def answered(rows: pd.DataFrame) -> list[Example]:
        return [example(row["path"], answer(row)) for row in rows.to_dict("records")]

    def answer(row: Mapping[Hashable, Any]) -> str:
        predicted = known[row["target"], row["seed"]][row["predicted"]]
        pool = f"{pools[row['path']]}; " if pools[row["path"]] else ""
        return f"{pool}predicted {predicted}, probability {100 * row['confidence']:.0f}\u00a0%"

    def strip(rows: pd.DataFrame, is_known: bool) -> list[Example]:
        return [
            example(row["path"], "" if is_known and row["class"] in classes else "unknown")
            for row in one_a_class(rows, COUNT).to_dict("records")
        ]

    domains, tested = manifest[manifest["pool"] == ""], set(scores["open_set"])
    pooled = manifest[manifest["pool"].isin(tested - {""})]
    return Gallery(
        domains={str(name): strip(rows, True) for name, rows in domains.groupby("domain", sort=True)}
        | {f"open set {name}": strip(rows, False) for name, rows in pooled.groupby("pool", sort=True)},
        mistakes=answered(confident_mistakes(of_method, COUNT)),
        accepted=answered(accepted_unknown(of_method, limits, COUNT)),
    )


def one_a_class(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Up to `count` rows of a manifest, one a class: the one with the smallest hash, which no file name decides."""
    first = rows.sort_values("sha256").drop_duplicates("class").sort_values("class")
    if len(first) <= count:
        return first
    step = len(first) / count
    return first.iloc[[int(place * step) for place in range(count)]]


def confident_mistakes(scores: pd.DataFrame, count: int) -> pd.DataFrame:
    """Rows of one method's known test images with the most confident wrong answers, each image once."""
    wrong = scores[known_tested(scores) & (scores["predicted"] != scores["label"])]
    return wrong.sort_values(["confidence", "path"], ascending=[False, True]).drop_duplicates("path").head(count)


def accepted_unknown(scores: pd.DataFrame, limits: pd.DataFrame, count: int) -> pd.DataFrame:
    """Rows of one method's unknown images farthest below the threshold of their fit; an image is shown once.

    Args:
        scores: SCORES rows of the method.
        limits: method, target, seed and threshold; fits without one show nothing.
        count: rows at most.
    """
    unknown = scores[scores["role"] == TEST_UNKNOWN]
    rows = unknown.merge(limits[["method", "target", "seed", "threshold"]].dropna(), on=["method", "target", "seed"])
    rows = rows.assign(margin=rows["threshold"] - rows["score"].astype("float64"))
    rows = rows[rows["margin"] >= 0].sort_values(["margin", "path"], ascending=[False, True])
    return rows.drop_duplicates("path").head(count)[list(scores.columns)]


def thumbnail(path: Path, *, max_pixels: int, side: int = 128) -> bytes:
    """PNG of an image, at most `side` pixels wide and high.

    Raises:
        DataError: the image is missing or damaged.
    """
    image = open_rgb(path, max_pixels=max_pixels)
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
