"""Bootstrap over test images: how much a number would move with other images of the same kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_CELLS = 4_000_000  # resamples x images drawn at a time: bounds the memory to some tens of megabytes


def correct_by_image(rows: pd.DataFrame) -> pd.DataFrame:
    """Whether each image was classified correctly by the fit of each seed.

    Args:
        rows: SCORES rows of one method and target, known classes only.
    Returns:
        Images (sorted by path) x seeds; 1.0 correct, 0.0 wrong, NaN where a seed did not test the image.
    """
    correct = (rows["predicted"] == rows["label"]).astype("float64")
    return rows.assign(correct=correct).pivot(index="path", columns="seed", values="correct").sort_index()


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


def resampled_means(values: pd.DataFrame, resamples: int, *, target: str) -> np.ndarray:
    """Mean over seeds of the mean over images, for each resample of the images.

    An image is drawn with all its seeds, since the fits of all seeds see the same images.

    Args:
        values: images x seeds, NaN where there is none.
        resamples: how many times as many images as there are, are drawn with replacement.
        target: held-out domain, the seed of the draws: for equal targets and numbers of images they are the same, so
            that methods are compared on the same resamples.
    Returns:
        (resamples,) float64; NaN without images.
    """
    import numpy as np

    if values.size == 0:
        return np.full(resamples, np.nan)
    table = values.to_numpy(dtype="float64").T  # (S, I)
    tested = ~np.isnan(table)
    filled = np.where(tested, table, 0.0)
    codes, block = np.arange(len(values)), block_of(len(values))
    means = []
    for weights in drawn(codes, resamples, key=key_of(0, target), block=block):
        with np.errstate(invalid="ignore"):  # a resample may miss every image that one seed tested
            means.append(((filled @ weights) / (tested @ weights)).mean(axis=0))  # (b,)
    return np.concatenate(means)


def interval(replicates: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of bootstrap replicates; NaN where there is none."""
    import numpy as np

    tail = (1 - 0.95) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return float(low), float(high)
