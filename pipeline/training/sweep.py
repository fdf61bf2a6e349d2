"""A grid of settings trained in one batched pass; validation images alone choose among them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.methods.settings import options
from pipeline.tables import DEPLOY, TRAIN, VALIDATION, Table
from pipeline.training.assemble import plan_runs
from pipeline.training.runs import Run

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.features import Features
    from pipeline.fits import Fits

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
        "validation_accuracy": "float64",  # 0 to 1, source domains
        # Of the configuration, with the chosen score, see evaluation.choice; NaN where nothing was left out.
        "left_out_accuracy": "float64",  # 0 to 1
        "left_out_auroc": "float64",  # 0 to 1
        "value": "float64",  # what chooses
        "accuracy": "float64",  # 0 to 1, known classes of the held-out domain; NaN where the run diverged
        # Unknown against known images of the held-out domain, 0 to 1; mean over the open sets, NaN without any.
        "auroc": "float64",
        "fpr95_id_positive": "float64",  # unknown images accepted when 95 % of the known ones are
        "fpr95_ood_positive": "float64",  # known images rejected when 95 % of the unknown ones are
    },
    ("configuration", "target", "seed"),
)


def grid(axes: Mapping[str, Sequence[Any]]) -> dict[str, Point]:
    """Every point of the grid, the last axis fastest; named by its place and what it sets.

    Args:
        axes: at least one setting, each with different values, as `params.Sweep` checks them.
    """
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    digits = len(str(len(points)))
    return {
        f"{place:0{digits}d} {' '.join(f'{k}={v}' for k, v in point.items())}": point
        for place, point in enumerate(points, start=1)
    }


def plan_sweep(
    points: Mapping[str, Point], base: Mapping[str, Any], splits: pd.DataFrame, features: Features
) -> list[Run]:
    """The runs of every point for every held-out domain and seed; a run's method is its configuration's name.

    Test rows of the table are cut off before anything else, so they cannot influence what is trained or chosen.

    Args:
        points: from `grid`.
        base: all training settings of the method; a point replaces some of them.
        splits: SPLITS table; the deploy fit has no part in it.
        features: of the images in `splits`.
    Raises:
        ParamsError: a point's settings are wrong; DataError: no domain is held out, or a split has no
            validation images.
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
    return plan_runs(splits, features, {name: options({**base, **point}) for name, point in points.items()})


def validation(points: Mapping[str, Point], fits: Fits) -> pd.DataFrame:
    """The columns of SWEEP that training knows, configurations in the order of the grid.

    Args:
        points: from `grid`.
        fits: of the runs of `plan_sweep`.
    """
    order = {name: place for place, name in enumerate(points)}
    table = fits.table.rename(columns={"method": "configuration"})
    table["point"] = [json.dumps(points[name]) for name in table["configuration"]]
    table = table.sort_values("configuration", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    return table[[name for name in SWEEP.columns if name in table]]


def plan_folds(
    points: Mapping[str, Point], base: Mapping[str, Any], folds: pd.DataFrame, features: Features
) -> list[Run]:
    """The runs of every point without some known classes and domains.

    Args:
        points, base, features: as `plan_sweep`.
        folds: of `left_out.left_out_splits`.
    """
    return plan_runs(folds, features, {name: options({**base, **point}) for name, point in points.items()})


def check_converged(fits: Fits) -> None:
    """Raises DataError: every configuration diverged for some held-out domain and seed."""
    table = fits.table
    lost = table.groupby("method")["diverged"].any()
    if lost.all():
        raise DataError(f"sweep: all {len(lost)} configurations diverged; lower the learning rates or the λ")
