"""A version of a data set in MLflow: one run whose data set input carries DVC's hash."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline.sources import Source
from pipeline.tracking.runs import stage_run
from pipeline.versioning.contents import Files, count
from pipeline.versioning.difference import Difference
from pipeline.versioning.history import Version

STAGE = "version-data"


def record_version(
    version: Version,
    name: str,
    files: Files,
    difference: Difference,
    *,
    source: Source,
    left_out: int,
    started: float,
    root: Path,
) -> str:
    """Record a version that is under DVC already.

    Args:
        version: what its line says.
        name: of the data set.
        files: path to MD5 of what it holds.
        difference: from the version before.
        source: where its images came from.
        left_out: how many of them could not be used.
        started: when the addition began, in epoch seconds.
        root: the project.
    Returns:
        The run's id.
    Raises:
        TrackingError: the server cannot be reached or refuses.
    """
    counts = count(files)
    sizes = {
        "images": counts.images,
        "bytes": version.bytes,
        "domains": len(counts.domains),
        "classes": len(counts.classes),
        "open_sets": len(counts.pools),
        "left_out": left_out,
    }
    changes = {field.name: len(getattr(difference, field.name)) for field in dataclasses.fields(difference)}
    params = {"name": name, "source": version.source, "kind": source.kind}
    tags = {"dataset": name, "dataset_version": str(version.number), "dvc_md5": version.md5}
    with stage_run(STAGE, started=started, params=params, out=None, tags=tags, root=root) as run:
        run.log(metrics=sizes | changes, datasets=[(name, version.md5, source.path.resolve().as_uri())])
    return run.run_id
