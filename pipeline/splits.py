"""What later stages ask of a split table, and of the manifest beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

Fit = tuple[str, int]
"""Target and seed."""


def known_classes(splits: pd.DataFrame) -> list[str]:
    """The classes that some fit knows, sorted; the fit that is deployed knows all of them.

    Args:
        splits: SPLITS table.
    """
    return sorted(str(name) for name in splits.loc[splits["label"] >= 0, "class"].unique())


def known_by_fit(splits: pd.DataFrame) -> dict[Fit, list[str]]:
    """The known classes of each fit, in the order of its labels.

    Args:
        splits: SPLITS table; test rows may be missing.
    """
    known = splits.loc[splits["label"] >= 0, ["target", "seed", "label", "class"]].drop_duplicates()
    known = known.sort_values(["target", "seed", "label"])
    classes: dict[Fit, list[str]] = {}
    for target, seed, name in zip(known["target"], known["seed"], known["class"], strict=True):
        classes.setdefault((str(target), int(seed)), []).append(str(name))
    return classes


def domain_of(manifest: pd.DataFrame) -> dict[str, str]:
    """Path to domain, of a MANIFEST table."""
    return dict(zip(manifest["path"], manifest["domain"], strict=True))
