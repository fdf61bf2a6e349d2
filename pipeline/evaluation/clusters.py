"""Images that are no independent draws: what is resampled together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.data.near import alike, parse_hashes

if TYPE_CHECKING:
    import pandas as pd


def alike_groups(manifest: pd.DataFrame, distance: int) -> pd.Series:
    """Images of equal content, that look alike or that the data call a group, as groups.

    Args:
        manifest: MANIFEST table.
        distance: bits of 64 by which the perceptual hashes of near-duplicates differ at most, 0 to 7.
    Returns:
        Path to the path of the first image of its group, for images that have such a partner. Two images of a group
        may differ by more than `distance` where others lie between them, or where the manifest names their group.
    """
    import numpy as np
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    near = alike(parse_hashes(manifest["phash"].tolist()), distance)
    hashes = int(near.group.max(initial=-1)) + 1
    # Nodes: the hashes, which equal contents share, then the names of groups. An image joins its hash to its group.
    named = np.flatnonzero(manifest["group"] != "")
    names, unique = pd.factorize(manifest["group"].to_numpy()[named])
    pairs = np.concatenate([near.pairs, np.column_stack([near.group[named], hashes + names])]).astype(np.int64)
    count, ones = hashes + len(unique), np.ones(len(pairs), dtype=bool)
    _, joined = connected_components(coo_array((ones, tuple(pairs.T)), shape=(count, count)), directed=False)
    paths = manifest["path"]
    number = pd.Series(joined[near.group], index=paths.to_numpy(), dtype="int64")
    shared = number[number.duplicated(keep=False)]
    return pd.Series(shared.index, index=shared.index).groupby(shared).transform("first")
