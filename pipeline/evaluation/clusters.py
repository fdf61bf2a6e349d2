"""Images that are no independent draws: what is resampled together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.data.near import alike, parse_hashes

if TYPE_CHECKING:
    import pandas as pd


def alike_groups(manifest: pd.DataFrame, distance: int) -> pd.Series:
    """Images of equal content or that look alike, as groups.

    Args:
        manifest: MANIFEST table.
        distance: bits of 64 by which the perceptual hashes of near-duplicates differ at most, 0 to 7.
    Returns:
        Path to the path of the first image of its group, for images that have such a partner. Two images of a group
        may differ by more than `distance` where others lie between them.
    """
    import numpy as np
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    near = alike(parse_hashes(manifest["phash"].tolist()), distance)
    count = int(near.group.max(initial=-1)) + 1
    ones = np.ones(len(near.pairs), dtype=bool)
    # Equal content has an equal hash, so the groups of hashes hold the exact duplicates too.
    _, joined = connected_components(coo_array((ones, tuple(near.pairs.T)), shape=(count, count)), directed=False)
    paths = manifest["path"]
    number = pd.Series(joined[near.group], index=paths.to_numpy(), dtype="int64")
    shared = number[number.duplicated(keep=False)]
    return pd.Series(shared.index, index=shared.index).groupby(shared).transform("first")
