"""Every fit's prediction and open-set score for the test images of its split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.scores import energy
from pipeline.errors import DataError
from pipeline.tables import DEPLOY, SCORES, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipeline.features import Features
    from pipeline.fits import Fits, Head

TEST_ROLES = (TEST_ID, TEST_SHIFTED, TEST_UNKNOWN)
_ROWS = 8192  # images a product: bounds the memory at any number of test images


def score_fits(features: Features, fits: Fits, splits: pd.DataFrame) -> pd.DataFrame:
    """Classify and score the test images of every fit that holds out a domain; diverged fits are left out.

    Args:
        features: of every image in `splits`; its clean views are used.
        fits: of all methods, side by side.
        splits: SPLITS table.
    Returns:
        SCORES table, in the order of the fits, then of the splits; the score is the energy of the logits.
    Raises:
        DataError: a fit has no test images in `splits`, an image has no features, or no fit is left to evaluate.
    """
    import pandas as pd

    tests = dict(list(splits[splits["role"].isin(TEST_ROLES)].groupby(["target", "seed"], sort=False)))
    parts = []
    kept = fits.table[(fits.table["target"] != DEPLOY) & ~fits.table["diverged"]]
    for fit in kept.to_dict("records"):
        target, seed = fit["target"], fit["seed"]
        if (target, seed) not in tests:
            raise DataError(f"splits: no test images for target {target!r}, seed {seed}; run `dvc repro split`")
        rows = tests[target, seed]
        predicted, confidence, score = predict(
            features.clean, features.clean_rows(rows["path"]), fits.heads[fit["fit"]]
        )
        part = rows[["target", "seed", "path", "role", "label"]].assign(
            method=fit["method"], predicted=predicted, confidence=confidence, score=score
        )
        parts.append(part)
    if not parts:
        raise DataError("fits: nothing to evaluate; every fit that holds out a domain has diverged")
    return pd.concat(parts, ignore_index=True)[list(SCORES.columns)].astype(dict(SCORES.columns))


def predict(images: np.ndarray, rows: np.ndarray, head: Head) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classify and score images by one fit.

    Args:
        images: (N, D) float32 raw image features; may be memory-mapped.
        rows: (B,) which of them.
        head: what the fit left behind.
    Returns:
        predicted (B,) int64 in [0, C); confidence (B,) float32, the largest class probability; score (B,) float32
        energy, larger = more open-set.
    """
    import numpy as np
    import torch

    from pipeline.baselines.heads import head_logits

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(array, dtype=np.float32))  # a copy: mapped arrays are not writable

    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    with torch.inference_mode():
        arrays = {name: tensor(array) for name, array in head.arrays.items()}
        for start in range(0, len(rows), _ROWS):
            batch = tensor(images[rows[start : start + _ROWS]])  # (b, D)
            values = head_logits(batch, head.kind, arrays, head.scalars)  # (b, C)
            confidence, predicted = values.softmax(dim=1).max(dim=1)
            parts.append((predicted, confidence, energy(values)))
    first, second, third = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
    return first, second, third
