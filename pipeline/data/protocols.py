"""Who may see what: few-shot fits that hold out a domain, classes or both, and the fit that is deployed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.data.choice import FREE, GIVEN_TEST, Columns, choose, class_rank, ranks, testable
from pipeline.data.classes import in_domains
from pipeline.errors import DataError, ParamsError
from pipeline.phrases import suggest
from pipeline.tables import (
    DEPLOY,
    IN_DISTRIBUTION,
    SPLITS,
    TEST_ID,
    TEST_SHIFTED,
    TEST_UNKNOWN,
    TEST_UNKNOWN_ID,
    TRAIN,
    UNKNOWN_CLASSES,
    VALIDATION,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipeline.params import Split


@dataclass(frozen=True)
class FitPlan:
    """One fit: what it holds out, which domains it learns from, and the classes that it knows, sorted."""

    target: str
    seed: int
    sources: tuple[str, ...]
    known: tuple[str, ...]


def make_splits(manifest: pd.DataFrame, known: Sequence[str], split: Split) -> pd.DataFrame:
    """Give every image its role in every fit.

    Within a class and domain, images are ordered by a hash of seed and content: the first `validation` validate, the
    next `shots` train (or, pooled over the source domains, the first `shots` of a class), and the rest are for testing.
    So the choice does not depend on file names or their order, and new images change few earlier choices. Given parts
    and groups narrow the choice, see `choice.choose`: in one fit, the images of a group train, validate or test,
    whatever their classes and domains. Zhu et al., "CRoFT", ICML 2024: Setup II holds out each domain in turn (the
    defaults); Setup I trains on one source and makes 60 % of the classes unknown.

    Args:
        manifest: MANIFEST table, without the classes of pools that mean a known class.
        known: classes that may train, sorted; all other classes are unknown in every fit.
        split: section `split` of params. `targets` are held out in turn; none means all domains that are not in
            `sources`, or all without `sources`. `shots` are per known class and source domain, or per known class;
            `validation` is per known class and source domain. `sources` may train; none means all but the held-out
            domain. Each seed makes `unknown_share` of `known` unknown; the deployed fit takes the first seed and knows
            all.
    Returns:
        SPLITS table sorted by target, seed and path.
    Raises:
        ParamsError: a target or source is not a domain, a target leaves no source, too few classes stay known, or
            none becomes unknown.
        DataError: too few images of a class, or a class that may train is in no source.
    """
    import pandas as pd

    manifest = manifest.sort_values("path", ignore_index=True)
    plans = plan_fits(manifest, known, split)
    table = _Images(manifest)
    places = {seed: ranks(manifest, seed) for seed in split.seeds}
    ordered = sorted(plans, key=lambda plan: (plan.target, plan.seed))
    parts = [table.roles(plan, places[plan.seed], split) for plan in ordered]
    return pd.concat(parts, ignore_index=True)[list(SPLITS.columns)].astype(dict(SPLITS.columns))


def plan_fits(manifest: pd.DataFrame, known: Sequence[str], split: Split) -> list[FitPlan]:
    """The fits that a protocol asks for; arguments and errors as in `make_splits`."""
    inside = in_domains(manifest)
    domains = sorted(inside["domain"].unique())
    for key, names in (("targets", split.targets), ("sources", split.sources)):
        for name in names:
            if name not in domains:
                raise ParamsError(f"split.{key}: no domain named {name!r}; {suggest(name, domains, label='domains')}")
    if not domains:
        raise DataError("split: the manifest has no image of a domain")
    learning = sorted(split.sources or domains)
    missing = set(known) - set(inside.loc[inside["domain"].isin(learning), "class"])
    if missing:
        raise DataError(
            f"{min(missing)}: no image of this class in split.sources ({', '.join(learning)}), so no fit can learn it; "
            "list it in data.unknown"
        )
    # A single domain cannot be held out: only images and classes are then.
    default = [name for name in domains if name not in learning] if split.sources or len(domains) == 1 else domains
    held_out = split.targets or default
    plans = []
    for position, seed in enumerate(split.seeds):
        of_seed = class_set(known, split.unknown_share, seed)
        for target in held_out or [IN_DISTRIBUTION]:
            left = tuple(name for name in learning if name != target)
            if not left:
                raise ParamsError(
                    f"split.targets: {target} is the only source; holding it out leaves nothing to train on"
                )
            plans.append(FitPlan(target, seed, left, of_seed))
        if position == 0:
            plans.append(FitPlan(DEPLOY, seed, tuple(learning), tuple(sorted(known))))
    return plans


def class_set(known: Sequence[str], unknown_share: float, seed: int) -> tuple[str, ...]:
    """The classes that a seed knows, sorted: all but the first `unknown_share` of them in the seed's order of names.

    Raises:
        ParamsError: fewer than two classes stay known, or the share is too small for one class to become unknown.
    """
    count = int(unknown_share * len(known) + 0.5)
    if unknown_share and not count:
        raise ParamsError(
            f"split.unknown_share: {unknown_share} of {len(known)} classes rounds to no unknown class: raise or drop it"
        )
    if len(known) - count < 2:
        raise ParamsError(
            f"split.unknown_share: {unknown_share} of {len(known)} classes leaves {len(known) - count} known; at least "
            "2 are needed: lower it"
        )
    return tuple(sorted(sorted(known, key=lambda name: class_rank(name, seed))[count:]))


class _Images:
    """The manifest, grouped once for all fits."""

    def __init__(self, manifest: pd.DataFrame) -> None:
        """manifest: sorted by path."""
        self.manifest = manifest
        self.given = Columns(manifest["part"].tolist(), manifest["group"].tolist())
        self.cells: dict[str, dict[str, list[int]]] = {}  # rows by class and domain
        inside = in_domains(manifest)
        for row, name, domain in zip(inside.index, inside["class"], inside["domain"], strict=True):
            self.cells.setdefault(name, {}).setdefault(domain, []).append(row)
        where = manifest["domain"].where(manifest["pool"] == "", "\0" + manifest["pool"])  # a pool may share a name
        self.testable = testable(manifest["part"], where)

    def roles(self, plan: FitPlan, places: np.ndarray, split: Split) -> pd.DataFrame:
        """The rows of one fit, sorted by path."""
        import pandas as pd

        rows: list[int] = []
        roles: list[str] = []
        labels: list[int] = []

        def add(images: Sequence[int], role: str, label: int) -> None:
            rows.extend(images)
            roles.extend([role] * len(images))
            labels.extend([label] * len(images))

        tested = plan.target != DEPLOY
        cells = {
            name: {domain: self.cells.get(name, {}).get(domain, []) for domain in plan.sources} for name in plan.known
        }
        chosen = choose(cells, self.given, places, split)
        for label, name in enumerate(plan.known):
            add(chosen[name].validation, VALIDATION, label)
            add(chosen[name].train, TRAIN, label)
        fitted = {self.given.groups[row] for row in rows} - {""}

        def apart(images: Sequence[int]) -> list[int]:
            """Without images whose group has trained or validated."""
            return [row for row in images if self.given.groups[row] not in fitted]

        shifted = False
        for label, name in enumerate(plan.known if tested else ()):
            add(chosen[name].test, TEST_ID, label)
            images = [row for row in self.cells.get(name, {}).get(plan.target, []) if self.testable[row]]
            shifted |= bool(images)
            add(apart(images), TEST_SHIFTED, label)
        if tested:
            for images, role in self._unknown(plan):
                add(apart(images), role, -1)
        if shifted and TEST_SHIFTED not in roles:
            raise DataError(
                f"{plan.target}: no image of a known class is left to test on: their groups train or validate in other "
                "domains; add images of other groups"
            )
        if plan.target == IN_DISTRIBUTION and TEST_ID not in roles:
            other = " of other groups" if fitted else ""
            raise DataError(
                f"split: no image of a known class is left to test on; lower split.shots or add images{other}"
            )
        order = sorted(range(len(rows)), key=rows.__getitem__)
        table = self.manifest.loc[[rows[place] for place in order], ["path", "class", "pool"]].reset_index(drop=True)
        table["target"], table["seed"] = plan.target, plan.seed
        table["role"] = pd.Series([roles[place] for place in order], dtype="str")
        table["label"] = [labels[place] for place in order]
        table["open_set"] = table["pool"].where(table["pool"] != "", UNKNOWN_CLASSES).where(table["label"] < 0, "")
        return table.drop(columns="pool")

    def _unknown(self, plan: FitPlan) -> list[tuple[list[int], str]]:
        """Rows whose class the fit does not know, with their roles."""
        table = self.manifest
        pools = table["pool"] != ""
        foreign = ~pools & ~table["class"].isin(plan.known)
        learnt = foreign & table["domain"].isin(plan.sources) & table["part"].isin([FREE, GIVEN_TEST])
        shifted = foreign & (table["domain"] == plan.target) & self.testable
        source_role = TEST_UNKNOWN if plan.target == IN_DISTRIBUTION else TEST_UNKNOWN_ID
        return [
            (table.index[learnt].tolist(), source_role),
            (table.index[shifted].tolist(), TEST_UNKNOWN),
            (table.index[pools & self.testable].tolist(), TEST_UNKNOWN),
        ]
