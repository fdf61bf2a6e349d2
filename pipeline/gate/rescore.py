"""Two versions' protocol fits on the images that neither has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.decision.kept import Kept, KeptFit, answers
from pipeline.errors import GateError
from pipeline.evaluation.measures import known_tested
from pipeline.gate.measure import CHALLENGER, CHAMPION
from pipeline.phrases import counted
from pipeline.tables import DEPLOY, TEST_ID, TEST_UNKNOWN, TRAIN, VALIDATION

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.features import Features


@dataclass(frozen=True)
class Rescored:
    """Both versions on the same images.

    Attributes:
        scores: as `pipeline.gate.measure.measure` takes them; labels index the common known classes of a pair of fits.
        known, unknown: images of common known classes that are tested, and images that are unknown to both.
        seen: test images of the challenger that the champion trained or validated on, left out.
        notes: what is not the same for both: classes, domains, seeds.
    """

    scores: pd.DataFrame
    known: int
    unknown: int
    seen: int
    notes: tuple[str, ...]


def rescore(
    champion: Kept, challenger: Kept, features: Features, splits: pd.DataFrame, manifest: pd.DataFrame
) -> Rescored:
    """Let both classify and score the challenger's test images.

    The n-th seed of one is paired with the n-th of the other, by held-out domain.

    Args:
        champion, challenger: their protocol fits.
        features, splits, manifest: of the challenger.
    Raises:
        GateError: not comparable: another backbone, no common domain or class, or no image is left.
    """
    import pandas as pd

    differing = [key for key, value in challenger.backbone.items() if champion.backbone.get(key) != value]
    if differing:
        raise GateError(f"not comparable: another backbone or image transform ({', '.join(differing)} differ)")
    contents = manifest.set_index("path")["sha256"]
    tests = splits[(splits["target"] != DEPLOY) & ~splits["role"].isin([TRAIN, VALIDATION])]
    tests = tests.assign(sha256=contents.reindex(tests["path"]).to_numpy())
    parts: list[pd.DataFrame] = []
    seen: set[str] = set()
    notes: set[str] = set()
    for number, (old, new) in _pairs(champion, challenger, notes):
        rows = tests[(tests["target"] == new.target) & (tests["seed"] == new.seed)]
        rows = rows[(rows["role"] == TEST_UNKNOWN) | (rows["role"] == TEST_ID) | known_tested(rows)]
        fresh = ~rows["sha256"].isin(old.seen)
        seen |= set(rows.loc[~fresh, "sha256"])
        rows = rows[fresh & ~rows["sha256"].isin(new.seen)]
        common = sorted(set(old.classes) & set(new.classes))
        if len(common) != len(set(old.classes) | set(new.classes)):
            notes.add("the known classes differ: accuracy is measured on common ones, with every class as an answer")
        is_unknown = rows["role"] == TEST_UNKNOWN
        fits_both = rows["class"].isin(common).where(~is_unknown, ~rows["class"].isin({*old.classes, *new.classes}))
        rows = rows[fits_both]
        if rows.empty:
            continue
        images = features.clean[features.clean_rows(rows["path"])]
        label = {name: index for index, name in enumerate(common)}
        for method, kept, fit in ((CHAMPION, champion, old), (CHALLENGER, challenger, new)):
            said = answers(fit, kept.score, images).set_axis(rows.index)
            parts.append(
                rows[["target", "path", "role", "open_set"]].assign(
                    method=method,
                    seed=number,
                    label=rows["class"].map(label).where(rows["role"] != TEST_UNKNOWN, -1).astype("int64"),
                    predicted=said["class"].map(label).fillna(-2).astype("int64"),
                    score=said["score"],
                    rejected=said["rejected"],
                )
            )
    if not parts or not known_tested(scores := pd.concat(parts, ignore_index=True)).any():
        raise GateError("not comparable: no image of a common known class is left that neither has seen")
    known = scores.loc[known_tested(scores), "path"].nunique()
    unknown = scores.loc[scores["role"] == TEST_UNKNOWN, "path"].nunique()
    return Rescored(scores, int(known), int(unknown), len(seen), tuple(sorted(notes)))


def _pairs(champion: Kept, challenger: Kept, notes: set[str]) -> list[tuple[int, tuple[KeptFit, KeptFit]]]:
    """Fits of the same held-out domain, numbered within it."""
    sides = []
    for kept in (champion, challenger):
        by_target: dict[str, list[KeptFit]] = {}
        for fit in sorted(kept.fits, key=lambda fit: fit.seed):
            by_target.setdefault(fit.target, []).append(fit)
        sides.append(by_target)
    first, second = sides
    targets = [target for target in second if target in first]
    dropped = sorted(first.keys() - second.keys())
    if dropped:
        raise GateError(f"not comparable: it does not hold out {', '.join(dropped)}, which the champion was tested on")
    if added := sorted(second.keys() - first.keys()):
        notes.add(f"not compared: held-out domains that the champion lacks ({', '.join(added)})")
    pairs = min((min(len(first[target]), len(second[target])) for target in targets), default=0)
    if any(len(side[target]) != pairs for side in sides for target in targets):
        notes.add(f"{counted(pairs, 'seed')} of each are paired; the others are left out")
    return [(number, (first[target][number], second[target][number])) for target in targets for number in range(pairs)]
