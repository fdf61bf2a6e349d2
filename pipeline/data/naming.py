"""Tables of what can be wrong with class names, in the domains and in the pools of unknown images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.data.catch_all import is_catch_all
from pipeline.data.classes import in_domains, in_pools, meant_classes
from pipeline.data.synonyms import spelling
from pipeline.tables import OPEN_SETS

if TYPE_CHECKING:
    import pandas as pd


def class_table(
    manifest: pd.DataFrame,
    *,
    class_names: Mapping[str, str],
    tokens: Mapping[str, tuple[int, int]],
    synonyms: Sequence[Sequence[str]],
) -> pd.DataFrame:
    """One row for each class of the domains.

    Args:
        manifest: MANIFEST table.
        class_names: folder name to the name in prompts, where they differ.
        tokens: known class to (tokens of its longest prompt, most tokens of one word of its name); other classes are
            unknown.
        synonyms: groups of names in addition to the shipped list.
    Returns:
        Columns class; spelt_like (another class that is spelled the same in folders or in prompts, or None); means (the
        known class that an unknown class means, or None); catch_all (the name in prompts of a known class that means
        "none of the others", or None); tokens and pieces (NaN for an unknown class).
    """
    import pandas as pd

    classes = sorted(in_domains(manifest)["class"].unique())
    names = {name: class_names.get(name, name) for name in classes}
    unknown = [name for name in classes if name not in tokens]
    means = meant_classes(list(tokens), unknown, synonyms, class_names)
    spelt = _twins({name: spelling(name) for name in classes})
    prompted = _twins({name: spelling(names[name]) for name in tokens})
    rows = [
        (
            name,
            spelt.get(name) or prompted.get(name),
            means.get(name),
            names[name] if name in tokens and is_catch_all(names[name]) else None,
            *tokens.get(name, (float("nan"), float("nan"))),
        )
        for name in classes
    ]
    return pd.DataFrame(rows, columns=["class", "spelt_like", "means", "catch_all", "tokens", "pieces"]).astype(
        {"spelt_like": object, "means": object, "catch_all": object, "tokens": float, "pieces": float}
    )


def pool_table(manifest: pd.DataFrame, overlapping: pd.DataFrame, *, remove: bool) -> pd.DataFrame:
    """One row for each class of the pools.

    Args:
        manifest: MANIFEST table.
        overlapping: as `classes.overlapping_pools` returns it.
        remove: overlapping classes are left out of the splits; only a pool that this empties is then at fault.
    Returns:
        Columns folder (open_sets/pool/class) and means (a known class, or None where there is no fault).
    """
    import pandas as pd

    table = in_pools(manifest)[["pool", "class"]].drop_duplicates().sort_values(["pool", "class"])
    table = table.merge(overlapping, on=["pool", "class"], how="left")
    if remove:
        left = table["means"].isna().groupby(table["pool"]).transform("any")
        table["means"] = table["means"].mask(left)
    folder = [f"{OPEN_SETS}/{pool}/{name}" for pool, name in zip(table["pool"], table["class"], strict=True)]
    means = table["means"].astype(object)
    return pd.DataFrame({"folder": folder, "means": means.where(means.notna(), None)})


def _twins(keys: Mapping[str, str]) -> dict[str, str]:
    """Names that share their key with another name, each with the first such name."""
    sharing: dict[str, list[str]] = {}
    for name, key in keys.items():
        sharing.setdefault(key, []).append(name)
    return {name: group[group[0] == name] for group in sharing.values() if len(group) > 1 for name in group}
