"""What certain images were for in one record: training, validation, test or open set."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline.dvc_runner.cache import Cache
from pipeline.tables import DEPLOY, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID, TRAIN, VALIDATION

MANIFEST, SPLITS = "artifacts/manifest.parquet", "artifacts/splits.parquet"


@dataclass(frozen=True)
class Roles:
    """Numbers of images; one image may have several of these.

    Attributes:
        training, validation: of the fit that is deployed.
        test, open_set: of the fits that hold a domain out, as images of known and of unknown classes.
        held_out_training: trained on by any of these fits, which are measured and not deployed.
    """

    training: int
    validation: int
    test: int
    open_set: int
    held_out_training: int


def roles_of(cache: Cache, splits_md5: str, paths: Collection[str]) -> Roles | None:
    """Count the images by role.

    Args:
        cache: DVC's.
        splits_md5: of a SPLITS table.
        paths: of the images, relative to the data root.
    Returns:
        None where the cache lacks the table or it cannot be read.
    """
    import pandas as pd

    columns = ["target", "path", "role"]
    try:
        splits = pd.read_parquet(cache.object(splits_md5), columns=columns)
    except (OSError, ValueError, KeyError):
        return None
    splits = splits[splits["path"].isin(list(paths))]
    deployed = splits["target"] == DEPLOY

    def count(rows: pd.Series[bool], *roles: str) -> int:
        return int(splits.loc[rows & splits["role"].isin(roles), "path"].nunique())

    return Roles(
        training=count(deployed, TRAIN),
        validation=count(deployed, VALIDATION),
        test=count(~deployed, TEST_ID, TEST_SHIFTED),
        open_set=count(~deployed, TEST_UNKNOWN, TEST_UNKNOWN_ID),
        held_out_training=count(~deployed, TRAIN),
    )


def paths_with(cache: Cache, manifest_md5: str, sha256: str) -> list[str] | None:
    """Paths of the images with these bytes in a MANIFEST table; None where the cache lacks it."""
    import pandas as pd

    file: Path = cache.object(manifest_md5)
    try:
        manifest = pd.read_parquet(file, columns=["path", "sha256"], filters=[("sha256", "==", sha256)])
    except (OSError, ValueError, KeyError):
        return None
    return sorted(manifest["path"])
