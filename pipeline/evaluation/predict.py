"""Every fit's prediction and open-set score for the test images of its split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.scores.catalogue import DEPLOYED, logit_score
from pipeline.errors import DataError
from pipeline.evaluation.seen import to_tensor
from pipeline.tables import DEPLOY, SCORES, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipeline.features import Features
    from pipeline.fits import Fits, Head

TEST_ROLES = (TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID)
_ROWS = 8192  # images a product: bounds the memory at any number of test images


def score_fits(features: Features, fits: Fits, splits: pd.DataFrame) -> pd.DataFrame:
    """Classify and score the test images of every fit but the deployed one; diverged fits are left out.

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
    kept = fits.table[(fits.table["target"] != DEPLOY) & ~fits.table["diverged"]]
    parts: dict[int, pd.DataFrame] = {}
    for number in kept["fit"].unique():
        members = kept[kept["fit"] == number]
        rows = []
        for target, seed in zip(members["target"], members["seed"], strict=True):
            if (target, seed) not in tests:
                raise DataError(f"splits: no test images for target {target!r}, seed {seed}; run `dvc repro split`")
            rows.append(tests[target, seed])
        # Targets that share a fit (fixed sources) share most of their test images too: each is classified once.
        paths = pd.concat(rows)["path"].drop_duplicates()
        answers = pd.DataFrame(predict(features.clean, features.clean_rows(paths), fits.heads[number]), index=paths)
        for place, method, part in zip(members.index, members["method"], rows, strict=True):
            tested = part[["target", "seed", "path", "role", "open_set", "label"]].assign(method=method)
            parts[place] = tested.join(answers, on="path")
    if not parts:
        raise DataError("fits: nothing to evaluate: every fit that is tested diverged; lower finetune.lr")
    scores = pd.concat([parts[place] for place in kept.index], ignore_index=True)
    return scores[list(SCORES.columns)].astype(dict(SCORES.columns))


def predict(images: np.ndarray, rows: np.ndarray, head: Head) -> dict[str, np.ndarray]:
    """Classify and score images by one fit.

    Args:
        images: (N, D) float32 raw image features; may be memory-mapped.
        rows: (B,) which of them.
        head: what the fit left behind.
    Returns:
        predicted (B,) int64 in [0, C); confidence (B,) float32, the largest class probability; score (B,) float32
        energy, larger = more open-set.
    """
    import torch

    from pipeline.methods.catalogue import head_logits

    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    with torch.inference_mode():
        arrays = {name: to_tensor(array) for name, array in head.arrays.items()}
        for start in range(0, len(rows), _ROWS):
            batch = to_tensor(images[rows[start : start + _ROWS]])  # (b, D)
            values = head_logits(batch, head.kind, arrays, head.scalars)  # (b, C)
            confidence, predicted = values.softmax(dim=1).max(dim=1)
            parts.append((predicted, confidence, logit_score(DEPLOYED)(values, head.scalars["scale"])))
    names = ("predicted", "confidence", "score")
    return {name: torch.cat(column).numpy() for name, column in zip(names, zip(*parts, strict=True), strict=True)}
