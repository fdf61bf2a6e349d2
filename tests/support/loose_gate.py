"""A gate that lets every version pass that can be compared, for tests that are about something else."""

from __future__ import annotations

from pipeline.params import Margins, Promote

LOOSE = Promote(
    resamples=100,
    latency=None,
    superiority="none",
    underpowered="allow",
    margins=Margins(**dict.fromkeys(Margins.model_fields, 1.0)),
)
