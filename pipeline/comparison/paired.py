"""Two evaluations on the images that both tested: differences with intervals."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.evaluation.compare import WORST, difference, level
from pipeline.evaluation.difference import Difference
from pipeline.evaluation.measures import known_tested
from pipeline.evaluation.resampled import resampled
from pipeline.tables import IN_DISTRIBUTION, TEST_UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("accuracy", WORST, "auroc", "fpr95_id_positive", "fpr95_ood_positive")
A, B = "A", "B"
_KEY = ["target", "seed", "path", "role", "open_set"]


@dataclass(frozen=True)
class Row:
    """One metric of A and of B, 0 to 1, and B minus A."""

    metric: str
    a: float
    b: float
    difference: Difference


@dataclass(frozen=True)
class Coverage:
    """What both tested, and what only one did; images are counted once, however many fits tested them.

    Attributes:
        known, unknown: images of known classes, and unknown ones, that both tested.
        only_a, only_b: images that one tested and the other did not, or not in the same role, domain and seed.
        other_bytes: images that are left out because their bytes differ.
        targets: held-out domains; seeds: of fits.
        targets_only_a, targets_only_b: domains that one of the two held out.
    """

    known: int
    unknown: int
    only_a: int
    only_b: int
    other_bytes: int
    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    targets_only_a: tuple[str, ...]
    targets_only_b: tuple[str, ...]

    @property
    def held_out(self) -> bool:
        """Whether the numbers are about held-out domains."""
        return self.targets != (IN_DISTRIBUTION,)


def compare_scores(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    resamples: int,
    groups: pd.Series | None = None,
    other_bytes: Collection[str] = (),
) -> tuple[list[Row], Coverage]:
    """Compare two methods, perhaps of two revisions, image by image.

    Args:
        a, b: SCORES rows of one method each.
        resamples: of the images for the intervals.
        groups: path to the name of its group, for images that are no independent draws.
        other_bytes: paths that name another image in A than in B; they are left out.
    Returns:
        One row for each of METRICS that was measured, without WORST where there is one domain, and what was compared.
    Raises:
        DataError: no image of a known class was tested by both.
    """
    import pandas as pd

    first, second = (frame[known_tested(frame) | (frame["role"] == TEST_UNKNOWN)] for frame in (a, b))
    images = [set(frame["path"]) for frame in (first, second)]
    targets = [list(dict.fromkeys(frame["target"])) for frame in (first, second)]
    shared = first[_KEY].merge(second[_KEY], on=_KEY)
    shared = shared[~shared["path"].isin(list(other_bytes))]
    if not known_tested(shared).any():
        seeds = [", ".join(map(str, sorted(frame["seed"].unique()))) for frame in (first, second)]
        raise DataError(
            "no image of a known class was tested by both, with the same held-out domain and seed; A: domains "
            f"{', '.join(targets[0])}, seeds {seeds[0]}; B: domains {', '.join(targets[1])}, seeds {seeds[1]}"
        )
    tested = [shared.merge(frame, on=_KEY).assign(method=name) for name, frame in ((A, first), (B, second))]
    wanted = [metric for metric in METRICS if metric != WORST]
    table = resampled(pd.concat(tested, ignore_index=True), wanted, resamples=resamples, groups=groups)
    both = set(shared["path"])
    known = known_tested(shared)
    coverage = Coverage(
        known=shared.loc[known, "path"].nunique(),
        unknown=shared.loc[~known, "path"].nunique(),
        only_a=len(images[0] - both - set(other_bytes)),
        only_b=len(images[1] - both - set(other_bytes)),
        other_bytes=len((images[0] & images[1]).intersection(other_bytes)),
        targets=tuple(dict.fromkeys(shared["target"])),
        seeds=tuple(sorted(int(seed) for seed in shared["seed"].unique())),
        targets_only_a=tuple(target for target in targets[0] if target not in targets[1]),
        targets_only_b=tuple(target for target in targets[1] if target not in targets[0]),
    )
    rows = [
        Row(metric, level(table, metric, A), level(table, metric, B), difference(table, metric, B, A))
        for metric in METRICS
        if metric != WORST or len(coverage.targets) > 1
    ]
    return [row for row in rows if not math.isnan(row.difference.value)], coverage
