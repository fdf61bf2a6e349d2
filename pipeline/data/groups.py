"""How many images each class has in each domain, and how many it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.data.choice import GIVEN_TEST
from pipeline.data.classes import in_domains

if TYPE_CHECKING:
    import pandas as pd


def group_counts(manifest: pd.DataFrame, known: list[str], required: int, sources: Sequence[str] = ()) -> pd.DataFrame:
    """How many images each group has and needs: known classes by domain, and a domain's unknown classes together.

    Images that were given for test cannot train, so they count only in domains that do not train.

    Args:
        manifest: MANIFEST table.
        known: the known classes.
        required: images that a known class needs in a domain that may train.
        sources: domains that may train; none means all. Other domains need no images, nor every class.
    Returns:
        Columns group (`domain/class`, or `domain/(unknown classes)`), images, required (1 for unknown classes), missing
        (how many more are needed) and imbalance (largest known class of the domain over this one; 1 for unknown ones
        and in domains that never train).
    """
    import pandas as pd

    manifest = in_domains(manifest)
    domains = sorted(manifest["domain"].unique())
    training = set(sources or domains)
    usable = manifest[(manifest["part"] != GIVEN_TEST) | ~manifest["domain"].isin(training)]
    counts = usable.groupby(["domain", "class"]).size()
    table = counts.unstack(fill_value=0).reindex(index=domains, columns=known, fill_value=0)
    rows: list[tuple[str, int, int, float]] = []
    for domain in domains:
        sizes, trains = table.loc[domain], domain in training
        for name in known:
            imbalance = float(sizes.max() / max(sizes[name], 1)) if trains else 1.0
            rows.append((f"{domain}/{name}", int(sizes[name]), required if trains else 0, imbalance))
    open_set = manifest.loc[~manifest["class"].isin(known)]
    if len(open_set):
        sizes = open_set.groupby("domain").size()
        rows += [(f"{domain}/(unknown classes)", int(sizes.get(domain, 0)), 1, 1.0) for domain in sorted(training)]
    frame = pd.DataFrame(rows, columns=["group", "images", "required", "imbalance"])
    frame["missing"] = (frame["required"] - frame["images"]).clip(lower=0)
    return frame
