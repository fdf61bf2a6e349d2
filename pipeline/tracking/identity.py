"""The identity file of a stage: which run computed its outputs, in which store, and the run's facts.

DVC carries the file with the outputs, and it has to mean the same in every clone: a store goes by its id, not its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.tables import read_json, write_json

_MAX_BYTES = 20_000_000  # ours are a few kilobytes


@dataclass(frozen=True, kw_only=True)
class Identity:
    """One finished run of a stage. Files of earlier revisions lack some fields.

    Attributes:
        run_id: of the MLflow run.
        stage: its name.
        experiment, experiment_id: in the store.
        store: the store's id.
        server: address of the store, without credentials; "" for a local file.
        started: UTC, ISO 8601.
        git_commit: "" outside a repository.
        git_dirty: "true" if tracked files differed from the commit.
        lock_sha256, params_sha256: of the environment's lock file and of `params`.
        python, python_sha256: the interpreter in words, and of its program.
        params: as text, by dotted name.
        metrics: by name; of a series the last value.
        inputs: name to content hash.
    """

    run_id: str
    stage: str = ""
    experiment: str = ""
    experiment_id: str = ""
    store: str = ""
    server: str = ""
    started: str = ""
    git_commit: str = ""
    git_dirty: str = ""
    lock_sha256: str = ""
    params_sha256: str = ""
    python: str = ""
    python_sha256: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def write_identity(identity: Identity, path: Path) -> None:
    """Write the file, as a whole or not at all."""
    write_json(asdict(identity), path)


def read_identity(path: Path) -> Identity:
    """Read what `write_identity` wrote, perhaps on another machine.

    Raises:
        DataError: the file is missing, holds no run id, or is not such a file.
    """
    if path.is_file() and path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES:,} bytes; not the identity of a run")
    content = read_json(path)
    if not isinstance(content, dict) or not content.get("run_id"):
        raise DataError(f"{path}: no run id in this file; run `dvc repro -f {path.stem}`")
    values: dict[str, Any] = {}
    try:
        for name in (item.name for item in fields(Identity) if item.name in content):
            kind = {"params": str, "metrics": float, "inputs": str}.get(name)
            values[name] = {str(k): kind(v) for k, v in content[name].items()} if kind else str(content[name])
    except (AttributeError, TypeError, ValueError):
        raise DataError(f"{path}: {name}: not the identity of a run; run `dvc repro -f {path.stem}`") from None
    return Identity(**values)
