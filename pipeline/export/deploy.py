"""From the deploy fit to a deployed model: pick the fit, join its head to the tower, calibrate the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.splits import known_by_fit
from pipeline.tables import DEPLOY, VALIDATION

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from pipeline.decision.fit import Limits
    from pipeline.detection.scores.spaces import Option
    from pipeline.export.graph import DeployedModel
    from pipeline.features import Features
    from pipeline.fits import Fits


@dataclass(frozen=True)
class Upstream:
    """What the earlier stages wrote, as they wrote it: `metrics` and `choice` of the evaluation, `hashes` by input."""

    features: Features
    fits: Fits
    splits: pd.DataFrame
    manifest: pd.DataFrame
    metrics: Mapping[str, Any]
    choice: Mapping[str, Any]
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
        temperature: what logits are divided by before they become probabilities.
        kind: how the threshold was set, as `export.threshold` says.
        notes: where the validation images were too few; "" for nothing.
    """

    threshold: float
    accept: float
    accepted: float
    images: int
    accuracy: float
    temperature: float = 1.0
    kind: str = "quantile"
    notes: str = ""


def deploy(
    visual: nn.Module,
    features: Features,
    fits: Fits,
    splits: pd.DataFrame,
    *,
    method: str,
    option: Option,
    limits: Limits,
    domains: Mapping[str, str] | None = None,
) -> tuple[DeployedModel, pd.Series, Calibration]:
    """Assemble the model that is deployed; the deploy fit's validation images set its temperature and its threshold.

    Args:
        visual: the frozen tower that made the features, on the CPU.
        features: of the same tower.
        fits: holds the fit of `method` on all domains.
        splits: SPLITS table.
        method: name of a method in params.
        option: the open-set score.
        limits: how the threshold is set.
        domains: path to domain, for the kind of threshold that asks for it.
    Returns:
        The model, the row of FITS that it is made of, and the calibration.
    Raises:
        DataError: that fit is missing or has diverged, there are no validation images, or the score cannot be fitted.
    """
    import torch

    from pipeline.decision.fit import FitView
    from pipeline.export.graph import Deciding, DeployedModel

    row = _deploy_row(fits.table, method)
    rows = splits[(splits["target"] == DEPLOY) & (splits["seed"] == row["seed"])]
    if not (rows["role"] == VALIDATION).any():
        raise DataError("splits: the deploy fit has no validation images; raise split.validation")
    classes = known_by_fit(rows)[DEPLOY, int(row["seed"])]
    head = fits.heads[int(row["fit"])]
    view = FitView(head, features, rows, classes)
    statistics = view.statistics(option)
    found = view.limits(option, limits, domains or {})
    text = torch.tensor(features.text[features.text_rows(classes)])
    deciding = Deciding(option, statistics, text, found["threshold"], found["temperature"])
    model = DeployedModel(visual, head, mean=features.meta["mean"], std=features.meta["std"], deciding=deciding)
    validation = rows[rows["role"] == VALIDATION]
    with torch.inference_mode():
        probabilities, scores = model.decide(torch.tensor(features.clean[features.clean_rows(validation["path"])]))
    calibration = Calibration(
        threshold=float(model.threshold),
        accept=limits.accept,
        accepted=float((scores <= model.threshold).double().mean()),
        images=len(validation),
        accuracy=float((probabilities.numpy().argmax(axis=1) == validation["label"].to_numpy()).mean()),
        temperature=float(model.temperature),
        kind=limits.kind,
        notes=found["notes"],
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
