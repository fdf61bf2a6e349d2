"""Bootstrap over test images: how much a number would move with other images of the same kind."""

from __future__ import annotations

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

    images = len(values)
    if values.size == 0:
        return np.full(resamples, np.nan)
    table = values.to_numpy(dtype="float64")  # (I, S)
    tested = ~np.isnan(table)
    filled = np.where(tested, table, 0.0)
    rng = np.random.default_rng((0, *target.encode()))
    step = max(1, _CELLS // images)
    means = []
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        weights = rng.multinomial(images, np.full(images, 1 / images), size=count).astype("float64")  # (b, I)
        with np.errstate(invalid="ignore"):  # a resample may miss every image that one seed tested
            means.append(((weights @ filled) / (weights @ tested)).mean(axis=1))  # (b,)
    return np.concatenate(means)


def interval(replicates: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of bootstrap replicates; NaN where there is none."""
    import numpy as np

    tail = (1 - 0.95) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return float(low), float(high)
