"""Duplicates: equal files, or images that look alike, in one class folder or across classes and domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.data.near import Alike, alike, parse_hashes, partners

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def duplicate_columns(manifest: pd.DataFrame, *, distance: int, unused: np.ndarray) -> tuple[pd.DataFrame, bool]:
    """For every image, the path of another image that it must not equal or resemble.

    Classes are those of the domains; all pools together count as one more class, so that two images of pools may be
    equal, but not an image of a pool and one of a domain. Files of equal content appear in the first three columns
    only: in the others, the first file of each content represents all.

    Args:
        manifest: MANIFEST table, N rows.
        distance: bits of 64 by which the perceptual hashes of near-duplicates differ at most.
        unused: (N,) bool, images that no fit uses; they are skipped.
    Returns:
        Columns copy_in_class, copy_in_other_class, copy_in_other_domain, alike_in_other_class, alike_in_other_domain,
        None where there is no such image; and whether the search for near-duplicates was complete.
    """
    import numpy as np
    import pandas as pd

    pooled = (manifest["pool"] != "").to_numpy()
    paths = manifest["path"].to_numpy(dtype=object)
    content, folder, class_, domain = (
        pd.factorize(values)[0].astype(np.int64)
        for values in (
            manifest["sha256"],
            manifest["path"].str.rpartition("/")[0],
            manifest["class"],
            manifest["domain"],
        )
    )
    no_pairs = np.zeros((0, 2), dtype=np.int64)
    class_[pooled] = class_.max(initial=0) + 1
    domain[pooled] = -1
    row = np.where(pooled, -1, np.arange(len(manifest)))
    for labels in (class_, domain, row):
        labels[unused] = -1

    same = Alike(content, no_pairs)
    together = pd.factorize(content * (folder.max(initial=0) + 1) + folder)[0].astype(np.int64)
    hashes = parse_hashes(manifest["phash"].tolist())
    near = alike(hashes, distance)
    usable = np.flatnonzero(~unused)
    repeated = np.ones(len(manifest), dtype=bool)
    repeated[usable[np.unique(content[usable], return_index=True)[1]]] = False
    columns = {
        "copy_in_class": _named(partners(Alike(together, no_pairs), row), paths),
        "copy_in_other_class": _named(partners(same, class_), paths),
        "copy_in_other_domain": _named(partners(same, domain), paths),
        "alike_in_other_class": _named(partners(near, np.where(repeated, -1, class_)), paths, hashes),
        "alike_in_other_domain": _named(partners(near, np.where(repeated, -1, domain)), paths, hashes),
    }
    return pd.DataFrame(columns, index=manifest.index, dtype=object), near.complete


def _named(partner: np.ndarray, paths: np.ndarray, hashes: np.ndarray | None = None) -> np.ndarray:
    """(N,) object: the partner's path, with the distance where hashes are given."""
    import numpy as np

    named = np.full(len(partner), None, dtype=object)
    rows = np.flatnonzero(partner >= 0)
    if hashes is None:
        named[rows] = paths[partner[rows]]
    else:
        bits = np.bitwise_count(hashes[rows] ^ hashes[partner[rows]])
        named[rows] = [f"{paths[other]} ({count} bits)" for other, count in zip(partner[rows], bits, strict=True)]
    return named
