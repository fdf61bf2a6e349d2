"""A version of a data set in MLflow: one run whose data set input carries DVC's hash."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pipeline.tracking.runs import stage_run
from pipeline.versioning.contents import count
from pipeline.versioning.difference import Difference
from pipeline.versioning.history import Version

if TYPE_CHECKING:
    from pipeline.versioning.adding import Addition

STAGE = "version-data"


def record_version(addition: Addition, version: Version) -> str:
    """Record a version that is under DVC already.

    Args:
        addition: after its commit.
        version: what its line says.
    Returns:
        The run's id.
    Raises:
        TrackingError: the server cannot be reached or refuses.
    """
    counts, source = count(addition.files), addition.source
    sizes = {
        "images": counts.images,
        "bytes": version.bytes,
        "domains": len(counts.domains),
        "classes": len(counts.classes),
        "open_sets": len(counts.pools),
        "left_out": len(addition.bad),
    }
    difference = addition.difference or Difference()
    changes = {field.name: len(getattr(difference, field.name)) for field in dataclasses.fields(difference)}
    params = {"name": addition.name, "source": version.source, "kind": source.kind}
    tags = {"dataset": addition.name, "dataset_version": str(version.number), "dvc_md5": version.md5}
    with stage_run(STAGE, started=addition.started, params=params, out=None, tags=tags, root=addition.root) as run:
        dataset = (addition.name, version.md5, source.path.resolve().as_uri())
        run.log(metrics=sizes | changes, datasets=[dataset])
    return run.run_id
