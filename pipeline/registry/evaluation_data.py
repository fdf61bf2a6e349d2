"""The images that a version was evaluated on: in the workspace, in DVC's cache, or in the default remote.

The version's tags have their SHA-256, DVC's records of its runs their MD5. The workspace is neither changed nor needed:
it may be at any revision, and what a queued experiment made never lay in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.dvc_runner.cache import Cache, open_cache
from pipeline.dvc_runner.lock import Records
from pipeline.dvc_runner.missing import missing_outputs
from pipeline.errors import DataError, GateError, PipelineError
from pipeline.hashing import tree_sha256
from pipeline.origin import workspace
from pipeline.registry.records import RUNS, Index
from pipeline.registry.registration import HASH_TAG
from pipeline.registry.versions import model_version
from pipeline.tracking.versions import stage_runs
from pipeline.versioning.linked import Found, find_outputs

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

    from pipeline.features import Features

_MANIFEST, _SPLITS, _FEATURES = "artifacts/manifest.parquet", "artifacts/splits.parquet", "artifacts/features"
_HASHED_AS = {_MANIFEST: "manifest", _SPLITS: "splits", _FEATURES: "features"}
_LAST = "featurize"  # the stage after which all of them are there


@dataclass(frozen=True)
class EvaluationData:
    """What a version was evaluated on.

    Attributes:
        features: the arrays of images are memory-mapped.
        splits, manifest: a SPLITS and a MANIFEST table.
    """

    features: Features
    splits: pd.DataFrame
    manifest: pd.DataFrame


def read_evaluation_data(client: MlflowClient, name: str, version: str, root: Path) -> EvaluationData:
    """Find and read what a version was evaluated on; all that is read has the hashes that were registered.

    Args:
        client: of the registry.
        name, version: of the version, by number.
        root: the project, or a checkout of it.
    Raises:
        GateError: it is nowhere here, or is not what was registered; says what brings it.
        TrackingError: there is no such version.
    """
    record = model_version(client, name, version)
    hashes = {path: str(record.tags.get(f"{HASH_TAG}{key}", "")) for path, key in _HASHED_AS.items()}
    other = _differing(root, hashes)
    if not other:
        return _read({path: root / path for path in hashes})
    try:
        found = _find(client, record, other, root)
        with found.linked() as folder:
            _check(found, folder, {path: hashes[path] for path in other})
            return _read({path: (folder if path in other else root) / path for path in hashes})
    except (DataError, PipelineError, GateError) as error:
        raise GateError(
            f"not comparable: artifacts/ does not hold the images that version {version} was evaluated on "
            f"({_names(other)} differ), and {error}"
        ) from None


def _differing(folder: Path, hashes: Mapping[str, str]) -> list[str]:
    return [path for path in hashes if not (folder / path).exists() or tree_sha256(folder / path) != hashes[path]]


def _find(client: MlflowClient, record: ModelVersion, paths: Sequence[str], root: Path) -> Found:
    cache = open_cache(root)
    found = find_outputs(root, cache, _recorded(client, record, paths, root, cache))
    if not found.lacking:
        return found
    what, one = ", ".join(found.lacking), len(found.lacking) == 1
    if cache.remote and not found.trouble:
        raise GateError(
            f"{what} {'is' if one else 'are'} neither in DVC's cache nor in the remote {cache.remote!r}; "
            f"in a clone that has {'it' if one else 'them'}, run `dvc push --all-commits {' '.join(found.lacking)}`"
        )
    commit = str(record.tags.get("git_commit", ""))[:12]
    way = missing_outputs(cache, found.lacking, revision=f"commit {commit}" if commit else "its commit", stage=_LAST)
    reason = f" ({found.trouble})" if found.trouble else ""
    raise GateError(f"{what} {'is' if one else 'are'} not in DVC's cache{reason}; {way}")


def _recorded(
    client: MlflowClient, record: ModelVersion, paths: Sequence[str], root: Path, cache: Cache
) -> dict[str, str]:
    """DVC's hashes of what the version's runs made or read."""
    run_id = str(record.run_id or "")
    ids = {**({"register": run_id} if run_id else {}), **stage_runs(record.tags)}
    known: dict[str, str] = {}
    # A checkout has no experiments of its project; the project has no commit to which none of its refs leads.
    for place in dict.fromkeys((workspace(root), root)):
        if lock := Index(Records(place, cache), cache).of_version(client, ids, run_id):
            known = {**lock.deps, **lock.outs}
        if all(known.get(path) for path in paths):
            return {path: known[path] for path in paths}
    unknown = [path for path in paths if not known.get(path)]
    fetched = f" and `dvc fetch --all-commits {RUNS}/export.json`" if cache.remote else ""
    raise GateError(
        f"no dvc.lock in the workspace or in git, nor DVC's run cache, records which {', '.join(unknown)} its runs "
        f"used; bring the branch that does with `git fetch --all`{fetched}, or promote it where it was made"
    )


def _check(found: Found, folder: Path, hashes: Mapping[str, str]) -> None:
    """Refuse what is not what was registered.

    Raises:
        GateError: names the object of the cache that is damaged.
    """
    for path in _differing(folder, hashes):
        if damaged := found.damaged(path):
            raise GateError(
                f"{damaged[0]} in DVC's cache, a part of its {path}, is damaged; remove it, then promote again"
            )
        raise GateError(f"DVC recorded another {path} of its runs; promote it where it was made")


def _names(paths: Sequence[str]) -> str:
    return ", ".join(_HASHED_AS[path] for path in paths)


def _read(places: Mapping[str, Path]) -> EvaluationData:
    from pipeline.features import read_features
    from pipeline.tables import MANIFEST, SPLITS, read_table

    return EvaluationData(
        read_features(places[_FEATURES], mapped=True),
        read_table(places[_SPLITS], SPLITS),
        read_table(places[_MANIFEST], MANIFEST),
    )
