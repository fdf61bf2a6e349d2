"""How well open-set scores tell known classes apart from known classes that a fit has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.decision.fit import FitView, Shared
from pipeline.detection.metrics import auroc
from pipeline.splits import known_by_fit
from pipeline.tables import TEST_SHIFTED, TEST_UNKNOWN_ID, TRAIN, VALIDATION

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.detection.scores.spaces import Option
    from pipeline.features import Features
    from pipeline.fits import Fits


def left_out_numbers(
    fits: Fits,
    splits: pd.DataFrame,
    features: Features,
    options: Sequence[Option],
) -> pd.DataFrame:
    """What every fit and option do on images of classes and domains that the fit has not seen.

    Args:
        fits: trained on these splits; those that diverged are left out.
        splits: of `pipeline.training.left_out.left_out_splits`.
        features: of their images.
        options: scores.
    Returns:
        A row per fit and option that can be fitted to its images: method; target; seed; accuracy of the fit on the
        domain that it left out, NaN where it left out none; option; auroc of known classes, in all domains, against the
        fold.
    """
    import pandas as pd

    rows, shared = [], Shared()
    for fit in fits.table[~fits.table["diverged"]].to_dict("records"):
        split = splits[(splits["target"] == fit["target"]) & (splits["seed"] == fit["seed"])]
        (classes,) = known_by_fit(split).values()
        seen = split[split["role"].isin([TRAIN, VALIDATION])]
        view = FitView(fits.heads[fit["fit"]], features, seen, classes, shared)
        inside, outside = split[split["label"] >= 0], split[split["role"] == TEST_UNKNOWN_ID]
        inside = inside[inside["role"] != TRAIN]
        usable = view.usable(options)
        known, unknown = (view.answers(features.clean_rows(part["path"]), usable, 1.0) for part in (inside, outside))
        shifted = (inside["role"] == TEST_SHIFTED).to_numpy()
        right = known["predicted"].to_numpy() == inside["label"].to_numpy()
        accuracy = float(right[shifted].mean()) if shifted.any() else math.nan
        key = {**{name: fit[name] for name in ("method", "target", "seed")}, "accuracy": accuracy}
        for option in usable:
            value = auroc(known[option.name].to_numpy(), unknown[option.name].to_numpy())
            rows.append({**key, "option": option.name, "auroc": value})
    return pd.DataFrame(rows, columns=["method", "target", "seed", "accuracy", "option", "auroc"])
