"""From the deploy fit to a deployed model: pick the fit, join its head to the tower, calibrate the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.tables import DEPLOY, VALIDATION

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import nn

    from pipeline.export.graph import DeployedModel
    from pipeline.features import Features
    from pipeline.fits import Fits


@dataclass(frozen=True)
class Upstream:
    """What the earlier stages wrote, as they wrote it: `metrics` of the evaluation, `hashes` by the input's name."""

    features: Features
    fits: Fits
    splits: pd.DataFrame
    manifest: pd.DataFrame
    metrics: Mapping[str, Any]
    hashes: Mapping[str, str]


@dataclass(frozen=True)
class Calibration:
    """The threshold and the validation images that it was set on.

    Attributes:
        threshold: an image is unknown when its score is larger.
        accept: share of validation images to accept.
        accepted: share that was accepted.
        images: number of validation images.
        accuracy: share of validation images whose most probable class is correct.
    """

    threshold: float
    accept: float
    accepted: float
    images: int
    accuracy: float


def deploy(
    visual: nn.Module, features: Features, fits: Fits, splits: pd.DataFrame, *, method: str, accept: float
) -> tuple[DeployedModel, pd.Series, Calibration]:
    """Assemble the model that is deployed, with its threshold set on the deploy fit's validation images.

    Args:
        visual: the frozen tower that made the features, on the CPU.
        features: of the same tower.
        fits: holds the fit of `method` on all domains.
        splits: SPLITS table.
        method: name of a method in params.
        accept: share of validation images to accept as known, in (0, 1).
    Returns:
        The model, the row of FITS that it is made of, and the calibration.
    Raises:
        DataError: that fit is missing or has diverged, or there are no validation images.
    """
    from pipeline.detection.thresholds import accept_threshold
    from pipeline.export.graph import DeployedModel

    row = _deploy_row(fits.table, method)
    rows = splits[(splits["target"] == DEPLOY) & (splits["seed"] == row["seed"]) & (splits["role"] == VALIDATION)]
    if rows.empty:
        raise DataError("splits: the deploy fit has no validation images; raise split.validation")
    model = DeployedModel(
        visual, fits.heads[int(row["fit"])], mean=features.meta["mean"], std=features.meta["std"], threshold=0.0
    )
    clean = features.clean[features.clean_rows(rows["path"])]
    probabilities, scores = _decide(model, clean)
    threshold = accept_threshold(scores, accept)
    model.threshold.fill_(threshold)
    calibration = Calibration(
        threshold=threshold,
        accept=accept,
        accepted=float((scores <= threshold).mean()),
        images=len(rows),
        accuracy=float((probabilities.argmax(axis=1) == rows["label"].to_numpy()).mean()),
    )
    return model, row, calibration


def _deploy_row(table: pd.DataFrame, method: str) -> pd.Series[Any]:
    chosen = table[(table["method"] == method) & (table["target"] == DEPLOY)]
    if len(chosen) != 1:
        raise DataError(
            f"fits: expected one fit of {method!r} on all domains, found {len(chosen)}; run `dvc repro finetune`"
        )
    row = chosen.iloc[0]
    if row["diverged"]:
        raise DataError(f"fits: {method!r} on all domains has diverged; lower its lr or its λ")
    return row


def _decide(model: DeployedModel, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import torch

    with torch.inference_mode():
        probabilities, scores = model.decide(torch.tensor(clean))
    return probabilities.numpy(), scores.numpy()
