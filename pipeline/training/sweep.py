"""A grid of settings trained in one batched pass; source-domain validation alone chooses among them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError, ParamsError
from pipeline.tables import DEPLOY, TRAIN, VALIDATION, Table
from pipeline.training.assemble import plan_runs
from pipeline.training.methods import Trained, fit_methods
from pipeline.training.settings import settings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from pipeline.backbone.protocol import PromptTower
    from pipeline.features import Features
    from pipeline.training.views import ViewSource

Point = dict[str, Any]

SWEEP = Table(
    "sweep",
    {
        "configuration": "str",  # its place in the grid and what it sets
        "point": "str",  # what it sets, as JSON, keys in the order of the axes
        "target": "str",
        "seed": "int64",
        "epoch": "int64",  # the epoch that was kept
        "diverged": "bool",
        "validation_accuracy": "float64",  # 0 to 1, source domains; the only column that chooses
        "accuracy": "float64",  # 0 to 1, known classes of the held-out domain; NaN where the run diverged
        # Unknown against known images of the held-out domain, 0 to 1; mean over the open sets, NaN without any.
        "auroc": "float64",
        "fpr95_id_positive": "float64",  # unknown images accepted when 95 % of the known ones are
        "fpr95_ood_positive": "float64",  # known images rejected when 95 % of the unknown ones are
    },
    ("configuration", "target", "seed"),
)


@dataclass(frozen=True)
class Sweep:
    """What training a grid gives; no test image has played any part in it.

    Attributes:
        points: what each configuration sets, by the configuration's name, in the order of the grid.
        trained: one result per configuration, held-out domain and seed; `run.method` is the configuration's name.
        chosen: the configuration with the best source-validation accuracy.
    """

    points: dict[str, Point]
    trained: list[Trained]
    chosen: str

    def validation(self) -> pd.DataFrame:
        """The columns of SWEEP that training knows."""
        return _validation(self.points, self.trained)


def grid(axes: Mapping[str, Sequence[Any]]) -> dict[str, Point]:
    """Every point of the grid, the last axis fastest; named by its place and what it sets.

    Raises:
        ParamsError: there is no axis, an axis has no values, or one value twice.
    """
    if not axes:
        raise ParamsError("sweep.axes: expected at least one setting with its values")
    for name, values in axes.items():
        if not values or len(set(values)) != len(values):
            raise ParamsError(f"sweep.axes.{name}: expected at least one value, all different")
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    digits = len(str(len(points)))
    return {
        f"{place:0{digits}d} {' '.join(f'{k}={v}' for k, v in point.items())}": point
        for place, point in enumerate(points, start=1)
    }


def sweep(
    points: Mapping[str, Point],
    base: Mapping[str, Any],
    splits: pd.DataFrame,
    features: Features,
    *,
    device: str,
    views: NDArray[np.float32] | ViewSource | None = None,
    tower: Callable[[], PromptTower] | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Train every point for every held-out domain and seed together, and choose.

    Test rows of the table are cut off before anything else, so they cannot influence what is trained or chosen.

    Args:
        points: from `grid`.
        base: all training settings of the method; a point replaces some of them.
        splits: SPLITS table; the deploy fit has no part in it.
        features: of the images in `splits`.
        device: "cpu" or "cuda".
        views: where augmented views come from; by default those of `features`.
        tower: as in `methods.fit_methods`.
        on_epoch: as in `loop.fit`.
    Raises:
        ParamsError: a point's settings are wrong; DataError: a split has no validation images, every run diverged, or
            as `loop.fit`. All but the second before any training.
    """
    splits = splits[splits["role"].isin([TRAIN, VALIDATION]) & (splits["target"] != DEPLOY)]
    if splits.empty:
        raise DataError("splits: no domain is held out, so there is nothing to choose by; run `dvc repro split`")
    for (target, seed), roles in splits.groupby(["target", "seed"])["role"]:
        if VALIDATION not in set(roles):
            raise DataError(
                f"splits: target {target}, seed {seed} has no validation images, so nothing can be chosen by them; "
                "set split.validation to 1 or more"
            )
    methods = {name: settings({**base, **point}) for name, point in points.items()}
    trained = fit_methods(
        plan_runs(splits, features, methods),
        views=features.views if views is None else views,
        clean=features.clean,
        text=features.text,
        logit_scale=features.meta["logit_scale"],
        device=device,
        names=features.meta["names"],
        tower=tower,
        on_epoch=on_epoch,
    )
    return Sweep(dict(points), trained, choose(_validation(points, trained)))


def count_epochs(points: Mapping[str, Point], base: Mapping[str, Any], splits: pd.DataFrame) -> int:
    """How many run-epochs `sweep` trains, for progress; targets that share their training images are trained once."""
    seen = splits[splits["role"].isin([TRAIN, VALIDATION]) & (splits["target"] != DEPLOY)]
    fits = seen.sort_values("path").groupby(["target", "seed"])
    pairs = len({(seed, *zip(rows["path"], rows["role"], strict=True)) for (_, seed), rows in fits})
    return pairs * sum(int({**base, **point}.get("epochs", 0)) for point in points.values())


def choose(validation: pd.DataFrame) -> str:
    """The configuration with the best mean source-validation accuracy, the first of equals.

    Args:
        validation: configuration, diverged and validation_accuracy, a row per held-out domain and seed.
    Raises:
        DataError: every configuration diverged for some held-out domain and seed.
    """
    lost = set(validation.loc[validation["diverged"], "configuration"])
    kept = validation[~validation["configuration"].isin(lost)]
    if kept.empty:
        raise DataError(f"sweep: all {len(lost)} configurations diverged; lower the learning rates or the λ")
    # Rounded: sums in another order must not break a tie.
    means = kept.groupby("configuration", sort=False)["validation_accuracy"].mean().round(12)
    return str(means.idxmax())


def _validation(points: Mapping[str, Point], trained: Sequence[Trained]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        {
            "configuration": fit.run.method,
            "point": json.dumps(points[fit.run.method]),
            "target": fit.run.target,
            "seed": fit.run.seed,
            "epoch": fit.epoch,
            "diverged": fit.diverged,
            "validation_accuracy": fit.validation_accuracy,
        }
        for fit in trained
    ]
    order = {name: place for place, name in enumerate(points)}
    return pd.DataFrame(rows).sort_values(
        "configuration", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )
