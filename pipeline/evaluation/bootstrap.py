"""Bootstrap over test images: how much a number would move with other images of the same kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_CELLS = 4_000_000  # resamples x images drawn at a time: bounds the memory to some tens of megabytes


def key_of(kind: int, name: str) -> tuple[int, ...]:
    """The seed of the draws of one kind of images.

    Args:
        kind: 0 known images of a held-out domain, 1 its unknown classes, 2 a pool.
        name: of the domain or the pool.
    """
    return kind, *name.encode()


def block_of(images: int) -> int:
    """How many resamples of so many images are held in memory at a time."""
    return max(1, _CELLS // max(images, 1))


def cluster_codes(paths: pd.Index, groups: pd.Series | None) -> np.ndarray:
    """(I,) numbers of the groups that images are drawn in, from 0, in the order of `paths`.

    Args:
        paths: (I,) unique.
        groups: path to the name of its group; an image that is not in it is a group of its own. None: all are.
    """
    import numpy as np
    import pandas as pd

    if groups is None:
        return np.arange(len(paths))
    names = groups.reindex(paths)
    alone = [(path,) for path in paths]  # a tuple is no group's name
    return pd.factorize(names.astype(object).where(names.notna(), pd.Series(alone, index=paths, dtype=object)))[0]


def drawn(codes: np.ndarray, resamples: int, *, key: Sequence[int], block: int) -> Iterator[np.ndarray]:
    """How often each image is drawn, resamples of the groups with replacement; a group is drawn with all its images.

    Args:
        codes: (I,) group of each image, from 0.
        resamples: how many times as many groups as there are, are drawn.
        key: seed of the draws: for equal keys and numbers of groups they are the same, whatever the block.
        block: resamples at a time.
    Yields:
        (I, b) int32 with b <= block.
    """
    import numpy as np

    count = int(codes.max(initial=-1)) + 1
    rng = np.random.default_rng(key)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        weights = rng.multinomial(count, np.full(count, 1 / max(count, 1)), size=size)  # (b, G)
        yield np.ascontiguousarray(weights.T, dtype="int32")[codes]  # (I, b), by rows: what follows takes whole rows


def interval(replicates: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of bootstrap replicates; NaN where there is none."""
    import numpy as np

    tail = (1 - 0.95) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return float(low), float(high)
