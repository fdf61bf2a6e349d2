"""Leave-one-domain-out few-shot splits, and the fit on all domains that is deployed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.data.classes import in_domains, nearest
from pipeline.errors import DataError, ParamsError
from pipeline.tables import DEPLOY, SPLITS, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TRAIN, VALIDATION

if TYPE_CHECKING:
    import pandas as pd

_SALT = "croft-split-1"  # no part of it may depend on the target: the same images then serve in every fit of a seed
Row = tuple[str, int, str, str, int]


def make_splits(
    manifest: pd.DataFrame,
    *,
    known: list[str],
    targets: Sequence[str],
    seeds: Sequence[int],
    shots: int,
    shots_per: str,
    validation: int,
) -> pd.DataFrame:
    """Give every image its role in every fit.

    Inside a class and domain, images are ordered by a hash of seed and content: the first `validation` validate, the
    next `shots` train (or, pooled over the source domains, the first `shots` of a class), the rest is tested on. So a
    choice depends on neither file names nor their order, and new images disturb few old choices. The protocol is the
    leave-one-domain-out one of Zhu et al., "CRoFT", ICML 2024.

    Args:
        manifest: MANIFEST table.
        known: C known classes, sorted; all other classes are unknown.
        targets: domains to hold out; none means each in turn.
        seeds: of the choice of images; the first is the one of the deployed fit.
        shots: training images per known class and source domain, or per known class.
        shots_per: `class_and_domain` or `class`.
        validation: images per known class and source domain.
    Returns:
        SPLITS table sorted by target, seed and path; the deployed fit's target is `*`.
    Raises:
        ParamsError: a target is no domain, or `shots_per` is unknown.
        DataError: fewer than two domains, or too few images of a class.
    """
    import pandas as pd

    if shots_per not in ("class_and_domain", "class"):
        raise ParamsError(f"split.shots_per: expected class_and_domain or class, found {shots_per!r}")
    manifest = in_domains(manifest)
    domains = sorted(manifest["domain"].unique())
    if len(domains) < 2:
        raise DataError(f"split: leaving a domain out needs at least 2 domains, found {', '.join(domains) or 'none'}")
    for name in targets:
        if name not in domains:
            raise ParamsError(f"split.targets: no domain is called {name!r}; {nearest(name, domains)}")
    rows: list[Row] = []
    for position, seed in enumerate(seeds):
        ordered = _ordered(manifest, known, seed)
        unknown = manifest.loc[~manifest["class"].isin(known)]
        fits = [*(targets or domains), *([DEPLOY] if position == 0 else [])]
        for target in fits:
            sources = [domain for domain in domains if domain != target]
            rows += [
                (target, seed, *row)
                for row in _source_roles(ordered, known, sources, shots, shots_per, validation, tested=target != DEPLOY)
            ]
            for label, name in enumerate(known):
                rows += [(target, seed, path, TEST_SHIFTED, label) for _, path in ordered.get((target, name), [])]
            rows += [
                (target, seed, path, TEST_UNKNOWN, -1) for path in unknown.loc[unknown["domain"] == target, "path"]
            ]
    table = pd.DataFrame(rows, columns=list(SPLITS.columns)).astype(dict(SPLITS.columns))
    return table.sort_values(list(SPLITS.key), ignore_index=True)


def _ordered(manifest: pd.DataFrame, known: list[str], seed: int) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(hash, path) of each known class's images in each domain, in the order of the hash."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    wanted = set(known)
    columns = (manifest[name] for name in ("domain", "class", "sha256", "path"))
    for domain, name, content, path in zip(*columns, strict=True):
        if name in wanted:
            rank = hashlib.sha256(f"{seed}:{_SALT}:{content}".encode()).hexdigest()
            groups.setdefault((domain, name), []).append((rank, path))
    return {group: sorted(images) for group, images in groups.items()}


def _source_roles(
    ordered: dict[tuple[str, str], list[tuple[str, str]]],
    known: list[str],
    sources: list[str],
    shots: int,
    shots_per: str,
    validation: int,
    *,
    tested: bool,
) -> list[tuple[str, str, int]]:
    """(path, role, label) of known classes' images in the source domains; `tested`: what is left becomes test_id."""
    roles: list[tuple[str, str, int]] = []
    each = shots if shots_per == "class_and_domain" else 0
    for label, name in enumerate(known):
        left: list[tuple[str, str]] = []
        chosen: list[tuple[str, str]] = []
        for domain in sources:
            images = ordered.get((domain, name), [])
            if len(images) < validation + each:
                raise DataError(
                    f"{domain}/{name}: has {len(images)} images, but split needs {validation} for validation"
                    + (f" and {each} shots" if each else "")
                )
            roles += [(path, VALIDATION, label) for _, path in images[:validation]]
            chosen += images[validation : validation + each]
            left += images[validation + each :]
        if shots_per == "class":
            if len(left) < shots:
                raise DataError(
                    f"{name}: {len(left)} images are left in {', '.join(sources)} after validation, but split.shots "
                    f"is {shots}"
                )
            left.sort()
            chosen, left = left[:shots], left[shots:]
        roles += [(path, TRAIN, label) for _, path in chosen]
        if tested:
            roles += [(path, TEST_ID, label) for _, path in left]
    return roles
