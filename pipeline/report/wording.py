"""How numbers are written and what they are called, on the terminal and in the report. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.difference import LOWER_IS_BETTER
from pipeline.evaluation.results import Metrics, Numbers, held_out, spread_of
from pipeline.tables import UNKNOWN_CLASSES

Terms = Mapping[str, tuple[str, str]]
"""{metric: (its name, what it means)}."""
NONE = "–"
SPREAD = "± standard deviation over {seeds} seeds"
OPEN_SET = {
    "auroc": ("AUROC", "chance that an unknown image scores above a known one; 50 % is guessing"),
    "fpr95_id_positive": ("FPR95, ID positive", "unknown images accepted when 95 % of the known ones are accepted"),
    "fpr95_ood_positive": ("FPR95, OOD positive", "known images rejected when 95 % of the unknown ones are rejected"),
}
"""Names and meanings of the detection metrics that the terminal, the report and the sweep all show."""
FULL_SPECTRUM = {
    "auroc_full": (
        "AUROC, full spectrum",
        "the same with unseen images of the source domains among the known ones",
    ),
}
MORE_DETECTION = {
    "oscr": ("OSCR", "right answers against unknown images accepted, area under the curve; at most the accuracy"),
    "aupr_out": (
        "AUPR, unknown positive",
        "area under precision and recall by trapezoids, which the mix of images moves",
    ),
    "aupr_in": ("AUPR, known positive", "the same with known images as the positive class"),
}
"""Names and meanings of detection metrics for comparing with papers."""
FULL_SPECTRUM_RATES = {
    "fpr95_full_id_positive": (
        "FPR95, ID positive, full spectrum",
        "unknown images accepted when 95 % of the known ones, shifted or not, are accepted",
    ),
    "fpr95_full_ood_positive": (
        "FPR95, OOD positive, full spectrum",
        "known images, shifted or not, rejected when 95 % of the unknown ones are rejected",
    ),
}
CONFIDENCE = {
    "ece": ("ECE", "how far confidence is from accuracy, mean over 15 bins of confidence; 0 % is calibrated"),
    "brier_top_label": ("Brier score", "squared distance of confidence from 1 where right and 0 where wrong, mean"),
    "aurc": ("AURC", "errors among the surest images, mean over how many of them are answered"),
    "risk_at_95_coverage": ("risk at 95 % coverage", "errors among the surest 95 % of the images"),
}
"""Names and meanings of what only the report shows."""


def percent(value: float | int | None, spread: float | int | None = None) -> str:
    """`84.1 ± 0.6`: percent from shares of 0 to 1; a dash where there is no value, no ± where there is no spread."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{100 * value:.1f}"
    return text if spread is None or not math.isfinite(spread) else f"{text} ± {100 * spread:.1f}"


def points(value: float) -> str:
    """`+5.2`, `−0.3`: a difference of shares in percentage points."""
    if not math.isfinite(value):
        return NONE
    return f"{100 * value:+.1f}".replace("-", "−")


def with_spread(numbers: Numbers, metric: str) -> str:
    """One metric with its spread, or a dash where it was not measured."""
    return percent(numbers.get(metric), numbers.get(spread_of(metric)))


def with_interval(numbers: Numbers, metric: str) -> str:
    """`84.1 ± 0.6 % (95 % interval 82.9 to 85.2 over images)`: one metric with all that is known of its uncertainty."""
    low, high = numbers.get(f"{metric}_low"), numbers.get(f"{metric}_high")
    text = f"{with_spread(numbers, metric)} %"
    if low is None or high is None:
        return text
    return f"{text} (95 % interval {percent(low)} to {percent(high)} over images)"


def headed(metric: str, name: str) -> str:
    """The heading of a metric's column: its name, and which end is the better one."""
    return f"{name} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def measured_in(metric: str) -> str:
    """A metric as it reads within a sentence."""
    return OPEN_SET[metric][0] if metric in OPEN_SET else metric.replace("_", " ")


def plus_minus(spread: float, seeds: int) -> str:
    """`± 0.6 over 3 seeds`: the standard deviation of a difference; "" where one seed has none."""
    return f"± {100 * spread:.1f} over {seeds} seeds" if math.isfinite(spread) else ""


def tested_on(metrics: Metrics) -> str:
    """What the numbers are about, as it reads in sentences after "on"."""
    return "held-out domains" if held_out(metrics) else "unseen images of the training domains"


def called(open_set: str) -> str:
    """An open set as it reads in sentences."""
    return "unknown classes" if open_set == UNKNOWN_CLASSES else open_set


def images_in_words(protocol: Mapping[str, Any]) -> str:
    """`120 known images of 7 classes, 53 of unknown classes (30.6 % unknown)`.

    Args:
        protocol: of one held-out domain, an entry of protocols.json.
    """
    known, share = protocol["known"], protocol["unknown_share"]
    unknown = ", ".join(f"{part['images']} of {called(name)}" for name, part in protocol["unknown"].items())
    mix = f", {unknown} ({100 * share:.1f} % unknown)" if unknown else ", none unknown"
    return f"{known['images']} known images of {known['classes']} classes{mix}"
