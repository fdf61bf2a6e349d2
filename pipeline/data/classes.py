"""Which classes are known, and which other class names mean one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.data.catch_all import UNKNOWN, says_unknown
from pipeline.data.synonyms import overlaps
from pipeline.errors import DataError, ParamsError
from pipeline.phrases import suggest

if TYPE_CHECKING:
    import pandas as pd


def in_domains(manifest: pd.DataFrame) -> pd.DataFrame:
    """The rows of a manifest that lie in a domain; only these are ever trained or validated on."""
    return manifest[manifest["pool"] == ""]


def in_pools(manifest: pd.DataFrame) -> pd.DataFrame:
    """The rows of a manifest that lie in a pool of candidate unknowns (open_sets/pool/class/image)."""
    return manifest[manifest["pool"] != ""]


def known_classes(manifest: pd.DataFrame, unknown: Sequence[str]) -> list[str]:
    """The classes that are trained on: every class of the domains but the unknown ones, sorted.

    Args:
        manifest: MANIFEST table.
        unknown: classes that no fit trains on.
    Returns:
        C >= 2 class names; a class's position is its label.
    Raises:
        ParamsError: a name in `unknown` is not a class of the data, or a known class is called "unknown".
        DataError: fewer than two classes are left.
    """
    classes = sorted(in_domains(manifest)["class"].unique())
    for name in unknown:
        if name not in classes:
            raise ParamsError(
                f"data.unknown: no class folder named {name!r}; {suggest(name, classes, label='classes')}"
            )
    known = [name for name in classes if name not in set(unknown)]
    for name in filter(says_unknown, known):
        raise ParamsError(
            f"data.unknown: {name!r} cannot be a known class, because predictions say {UNKNOWN!r} of every image of no "
            f"known class; list {name!r} in data.unknown, or rename its folders"
        )
    if len(known) < 2:
        raise DataError(
            f"data.unknown: {len(known)} of {len(classes)} classes left known ({', '.join(known) or 'none'}); "
            "at least 2 are needed: list fewer unknown classes"
        )
    return known


def overlapping_pools(
    manifest: pd.DataFrame, known: Sequence[str], synonyms: Sequence[Sequence[str]], class_names: Mapping[str, str]
) -> pd.DataFrame:
    """The classes of pools that mean a known class, so that their images cannot count as unknown.

    Args:
        manifest: MANIFEST table.
        known: the known classes.
        synonyms: groups of names in addition to the shipped list (params `data.synonyms`).
        class_names: folder name to the name in prompts (params `backbone.class_names`), for folders like n02084071.
    Returns:
        Columns pool, class and means (the known class), sorted; no rows where nothing overlaps.
    """
    import pandas as pd

    pools = in_pools(manifest)[["pool", "class"]].drop_duplicates().sort_values(["pool", "class"])
    means = meant_classes(known, sorted(pools["class"].unique()), synonyms, class_names)
    rows = [
        (pool, name, means[name]) for pool, name in zip(pools["pool"], pools["class"], strict=True) if name in means
    ]
    return pd.DataFrame(rows, columns=["pool", "class", "means"], dtype="str")


def meant_classes(
    known: Sequence[str], others: Sequence[str], synonyms: Sequence[Sequence[str]], class_names: Mapping[str, str]
) -> dict[str, str]:
    """The class folders of `others` that mean a known class, each with that class's folder."""
    folders = {class_names.get(name, name): name for name in known}
    meant = overlaps(list(folders), [class_names.get(name, name) for name in others], synonyms)
    return {
        name: folders[meant[class_names.get(name, name)]] for name in others if class_names.get(name, name) in meant
    }


def without(manifest: pd.DataFrame, overlaps: pd.DataFrame) -> pd.DataFrame:
    """The rows of a manifest outside the pools' classes of `overlaps` (columns pool and class)."""
    left_out = set(zip(overlaps["pool"], overlaps["class"], strict=True))
    pairs = zip(manifest["pool"], manifest["class"], strict=True)
    return manifest[[pair not in left_out for pair in pairs]]
