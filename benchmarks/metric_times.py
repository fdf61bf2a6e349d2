"""(e) Metrics of the evaluation against pytorch-ood's and scikit-learn's own, on the same arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.measure import alternate, ratio

Row = dict[str, Any]
IMAGES = 1_000_000
CASES = {"different": None, "tied": 2}
"""How many decimals the scores have: float32 scores, few of which are equal, and a few hundred different values."""


def metric_times(rounds: int, images: int = IMAGES) -> list[Row]:
    """Value and time of each metric that another library has; half of the images are unknown.

    Raises:
        AssertionError: another library gives another number.
    """
    rows = []
    for kind, decimals in CASES.items():
        for metric, actions in _rivals(images, decimals).items():
            theirs = next(name for name in actions if name != "ours")
            mine, expected = actions["ours"](), actions[theirs]()
            if not isinstance(expected, tuple) and abs(mine - float(expected)) > 1e-6:
                raise AssertionError(f"{metric}, {kind}: {mine}, {theirs} {float(expected)}")
            times = alternate(actions, rounds)
            faster = ratio(times[theirs], times["ours"])
            rows.append(
                {
                    "metric": metric,
                    "scores": kind,
                    "against": theirs,
                    "times faster": faster.median,
                    "lowest": faster.low,
                    "highest": faster.high,
                    "by CPU time": faster.cpu,
                    "ms, ours": 1000 * min(times["ours"].wall),
                }
            )
    return rows


def _rivals(images: int, decimals: int | None) -> dict[str, Mapping[str, Callable[[], Any]]]:
    """{metric: {"ours": action, other library: action}}, each from the arrays that it takes."""
    import numpy as np
    import torch
    from pytorch_ood.metrics import functional
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import average_precision_score, brier_score_loss

    from pipeline.detection import metrics
    from pipeline.detection.oscr import oscr
    from pipeline.evaluation.calibration import BINS, brier_top_label, expected_calibration_error
    from pipeline.evaluation.selective import aurc

    draw, half = np.random.default_rng(0), images // 2
    known, unknown = (draw.normal(centre, 1.0, half).astype(np.float32) for centre in (0.0, 1.0))
    confidence = draw.random(images).astype(np.float32)
    if decimals is not None:
        known, unknown, confidence = (array.round(decimals) for array in (known, unknown, confidence))
    right = draw.random(images) < confidence
    scores, is_unknown = np.concatenate([known, unknown]), np.repeat([0, 1], half)
    tensors, labels = torch.from_numpy(scores), torch.from_numpy(-is_unknown)  # below 0: unknown
    swapped, predicted = -1 - labels, torch.from_numpy(np.where(right, 0, 1))
    sure, is_right = torch.from_numpy(confidence), torch.from_numpy(right)
    rivals: dict[str, Mapping[str, Callable[[], Any]]] = {
        "auroc": {
            "ours": lambda: metrics.auroc(known, unknown),
            "pytorch-ood": lambda: functional.auroc(tensors, labels),
        },
        "fpr95_ood_positive": {
            "ours": lambda: metrics.fpr95_ood_positive(known, unknown),
            "pytorch-ood": lambda: functional.fpr_at_tpr(tensors, labels, 0.95),
        },
        "fpr95_id_positive": {
            "ours": lambda: metrics.fpr95_id_positive(known, unknown),
            "pytorch-ood": lambda: functional.fpr_at_tpr(-tensors, swapped, 0.95),
        },
        "average_precision": {
            "ours": lambda: metrics.average_precision(known, unknown),
            "scikit-learn": lambda: average_precision_score(is_unknown, scores),
        },
        "aupr_out": {
            "ours": lambda: metrics.aupr_out(known, unknown),
            "pytorch-ood": lambda: functional.aupr(tensors, labels, positive="ood"),
        },
        "aupr_in": {
            "ours": lambda: metrics.aupr_in(known, unknown),
            "pytorch-ood": lambda: functional.aupr(tensors, labels, positive="id"),
        },
        "oscr": {
            "ours": lambda: oscr(known, right[:half], unknown),
            "pytorch-ood": lambda: functional.oscr_score(tensors, predicted, labels),
        },
        "brier_top_label": {
            "ours": lambda: brier_top_label(confidence, right),
            "scikit-learn": lambda: brier_score_loss(right, confidence),
        },
        "ece": {
            "ours": lambda: expected_calibration_error(confidence, right),
            "scikit-learn": lambda: calibration_curve(right, confidence, n_bins=BINS),  # the curve, not yet its error
        },
    }
    if decimals is None:  # the order of equal confidences is arbitrary there
        rivals["aurc"] = {
            "ours": lambda: aurc(confidence, right),
            "pytorch-ood": lambda: 1 - functional.aurra(sure, is_right),
        }
    return rivals
