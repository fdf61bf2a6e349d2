"""By how much one method differs from another, and whether that exceeds chance. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

LOWER_IS_BETTER = frozenset(
    {
        "fpr95_id_positive",
        "fpr95_ood_positive",
        "fpr95_full_id_positive",
        "fpr95_full_ood_positive",
        "released_fpr95_id_positive",
        "ece",
        "brier_top_label",
        "aurc",
        "risk_at_95_coverage",
    }
)
"""The metrics of which a smaller value is the better one."""


@dataclass(frozen=True)
class Difference:
    """A metric of `method` minus that of `reference`, both on the same images; -1 to 1.

    Attributes:
        metric: its key, as in metrics.json.
        method, reference: names.
        value: mean over held-out domains (detection: and over open sets), then over seeds; NaN where not comparable.
        low, high: 95 % bootstrap interval over images: other images, same fits.
        spread: standard deviation over seeds of the difference within a seed; NaN for one seed.
        seeds: fits of each that were compared.
    """

    metric: str
    method: str
    reference: str
    value: float
    low: float
    high: float
    spread: float
    seeds: int

    @property
    def verdict(self) -> str:
        """better, worse or unclear: whether the interval leaves out zero, and on which side."""
        if not (self.low > 0 or self.high < 0):
            return "unclear"
        return "better" if (self.low > 0) != (self.metric in LOWER_IS_BETTER) else "worse"
