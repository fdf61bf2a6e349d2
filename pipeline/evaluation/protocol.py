"""What a row of metrics.json is about, under an id: rows of one id may be compared, others answer other questions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.measures import known_tested, open_sets
from pipeline.tables import MEAN, TEST_UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

CONVENTIONS = {
    "score": "larger is more open-set",
    "fpr95_id_positive": "unknown images accepted at the first threshold that accepts at least 95 % of the known ones",
    "fpr95_ood_positive": "known images rejected at the first threshold that rejects at least 95 % of the unknown ones",
    "images": "all count, whether classified correctly or not",
}
"""Of the detection metrics; the `released` ones, which differ, say so in their names."""

Protocols = dict[str, dict[str, Any]]
"""By id: {prompts_sha256, score, conventions, known, unknown, unknown_share}, or {mean_of: ids} of a mean over domains.

known: {role, classes, images, images_sha256}; unknown: {open set: {images, images_sha256}}.
"""


def protocols(
    scores: pd.DataFrame, manifest: pd.DataFrame, *, score: str, prompts: object
) -> tuple[dict[tuple[str, str], str], Protocols]:
    """The id of every method's rows, and what the ids stand for.

    Args:
        scores: SCORES table.
        manifest: path, class and sha256 of every image in it.
        score: the open-set score.
        prompts: templates and class names, anything that JSON can hold.
    Returns:
        {(method, target or MEAN): id}; a method whose fits diverged under some seeds may have an id of its own.
    """
    contents = manifest.set_index("path")[["class", "sha256"]]
    given = {"prompts_sha256": _digest(prompts), "score": score, "conventions": CONVENTIONS}
    ids: dict[tuple[str, str], str] = {}
    found: Protocols = {}
    known: dict[tuple[str, frozenset[int]], str] = {}  # methods of equal seeds are tested on equal images
    sets = open_sets(scores)
    for method, of_method in scores.groupby("method", sort=False):
        of_targets = []
        for target, rows in of_method.groupby("target", sort=False):
            key = str(target), frozenset(rows["seed"].unique())
            if key not in known:
                described = given | _images(rows.join(contents, on="path"), sets)
                known[key] = _digest(described)[:12]
                found[known[key]] = described
            ids[str(method), str(target)] = known[key]
            of_targets.append(known[key])
        mean = {"mean_of": sorted(of_targets)}
        ids[str(method), MEAN] = _digest(mean)[:12]
        found[ids[str(method), MEAN]] = mean
    return ids, found


def _images(rows: pd.DataFrame, sets: Sequence[str]) -> dict[str, Any]:
    tested, unknown = rows[known_tested(rows)], rows[rows["role"] == TEST_UNKNOWN]
    by_set = {name: _distinct(unknown[unknown["open_set"] == name]) for name in sets}
    by_set = {name: part for name, part in by_set.items() if part["images"]}
    count, others = int(tested["path"].nunique()), int(unknown["path"].nunique())
    return {
        "known": {
            "role": "".join(tested["role"].unique()[:1]),
            "classes": int(tested["class"].nunique()),
            **_distinct(tested),
        },
        "unknown": by_set,
        "unknown_share": round(others / (count + others), 6) if count + others else None,
    }


def _distinct(rows: pd.DataFrame) -> dict[str, Any]:
    images = rows.drop_duplicates("path")
    return {"images": len(images), "images_sha256": _joined(images["sha256"])}


def _joined(digests: Iterable[str]) -> str:
    whole = hashlib.sha256()
    for digest in sorted(digests):
        whole.update(digest.encode())
    return whole.hexdigest()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
