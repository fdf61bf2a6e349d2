"""Images that look alike across one fit's train, validation and test; `leakage` checks equal files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.data.near import alike, parse_hashes, partners
from pipeline.phrases import counted, shorten
from pipeline.tables import TRAIN, VALIDATION

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CHECK = "near_duplicates_across_splits"
COLUMNS = ("target", "seed", "path", "role", "other", "other_role", "bits")
_EXAMPLES = 20
_NAMED = 5


def near_leakage(splits: pd.DataFrame, manifest: pd.DataFrame, *, distance: int) -> tuple[pd.DataFrame, bool]:
    """Find the images of each fit that look like an image in another of train, validation and test.

    Args:
        splits: SPLITS table; all roles but train and validation are test.
        manifest: MANIFEST table that it was made from.
        distance: bits of 64 by which the perceptual hashes of near-duplicates differ at most.
    Returns:
        Columns target, seed, path, role, other (the image that it looks like), other_role and bits; and whether the
        search was complete.
    """
    import numpy as np
    import pandas as pd

    paths, row = np.unique(splits["path"].to_numpy(dtype=object), return_inverse=True)
    hashes = parse_hashes(manifest.set_index("path").loc[paths, "phash"].tolist())
    near = alike(hashes, distance)
    role = splits["role"].to_numpy(dtype=object)
    side = np.select([role == TRAIN, role == VALIDATION], [0, 1], default=2)
    parts = [pd.DataFrame(columns=list(COLUMNS))]
    fits: dict[tuple[str, int], np.ndarray] = splits.groupby(["target", "seed"]).indices  # type: ignore[assignment]
    for (target, seed), rows in fits.items():
        sides = np.full(len(paths), -1, dtype=np.int64)
        sides[row[rows]] = side[rows]
        roles = np.full(len(paths), "", dtype=object)
        roles[row[rows]] = role[rows]
        other = partners(near, sides)
        leaking = np.flatnonzero(other >= 0)
        partner = other[leaking]
        if len(leaking):
            bits = np.bitwise_count(hashes[leaking] ^ hashes[partner]).astype(np.int64)
            columns = (target, seed, paths[leaking], roles[leaking], paths[partner], roles[partner], bits)
            parts.append(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))
    return pd.concat(parts[1:] or parts, ignore_index=True), near.complete


def leakage_verdict(leaks: pd.DataFrame, *, complete: bool, distance: int, fatal: bool) -> dict[str, Any]:
    """The result of `near_leakage`, as a metric and in words.

    Returns:
        success; severity; distance (bits); complete; images (distinct); fits (affected); examples (the first 20 pairs,
        in words); line (a summary; "" without leaks).
    """
    images = int(leaks["path"].nunique())
    fits = leaks[["target", "seed"]].drop_duplicates()
    pairs: dict[frozenset[str], str] = {}
    for row in leaks.sort_values(["path", "other", "target", "seed"]).to_dict("records"):
        if len(pairs) == _EXAMPLES:
            break
        worded = "{path} ({role}) ~ {other} ({other_role}, {bits} bits)".format_map(row)
        pairs.setdefault(frozenset((row["path"], row["other"])), worded)
    examples = list(pairs.values())
    line = ""
    if images:
        named = examples[:_NAMED]
        unnamed = images - len(frozenset().union(*list(pairs)[:_NAMED]))
        line = (
            f"{CHECK}: {counted(images, 'image')} in {counted(len(fits), 'fit')} that look alike across train, "
            f"validation and test: {shorten(named, _NAMED, total=len(named) + unnamed)}"
        )
    return {
        "success": not (fatal and images),
        "severity": "fatal" if fatal else "warning",
        "distance": distance,
        "complete": complete,
        "images": images,
        "fits": len(fits),
        "examples": examples,
        "line": line,
    }
