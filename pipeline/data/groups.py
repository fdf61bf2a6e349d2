"""How many images each class has in each domain, and how many it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.data.classes import in_domains

if TYPE_CHECKING:
    import pandas as pd


def group_counts(manifest: pd.DataFrame, known: list[str], required: int) -> pd.DataFrame:
    """How many images each group has and needs: known classes by domain, and a domain's unknown classes together.

    Returns:
        Columns group (`domain/class`, or `domain/(unknown classes)`), images, required (1 for unknown classes), missing
        (how many more are needed) and imbalance (largest known class of the domain over this one; 1 for unknown ones).
    """
    import pandas as pd

    manifest = in_domains(manifest)
    domains = sorted(manifest["domain"].unique())
    counts = manifest.groupby(["domain", "class"]).size()
    table = counts.unstack(fill_value=0).reindex(index=domains, columns=known, fill_value=0)
    rows: list[tuple[str, int, int, float]] = []
    for domain in domains:
        sizes = table.loc[domain]
        for name in known:
            rows.append((f"{domain}/{name}", int(sizes[name]), required, float(sizes.max() / max(sizes[name], 1))))
    open_set = manifest.loc[~manifest["class"].isin(known)]
    if len(open_set):
        sizes = open_set.groupby("domain").size()
        rows += [(f"{domain}/(unknown classes)", int(sizes.get(domain, 0)), 1, 1.0) for domain in domains]
    frame = pd.DataFrame(rows, columns=["group", "images", "required", "imbalance"])
    frame["missing"] = (frame["required"] - frame["images"]).clip(lower=0)
    return frame
