"""A checkout that holds what a record read: its data, weights and params, where they differ from the commit's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.checkout.inputs import bring_inputs
from pipeline.dvc_runner.graph import is_input, parse_dot
from pipeline.dvc_runner.lock import LOCK, Entry, Lock
from pipeline.dvc_runner.program import query
from pipeline.errors import DataError
from pipeline.params.yaml_text import dump_yaml, parse_yaml
from pipeline.registry.records import stage_of
from pipeline.tables import write_text

_PARAMS = "params.yaml"
_SIZES = ("md5", "size", "nfiles")


def restage(root: Path, lock: Lock, stages: Sequence[str]) -> dict[str, list[str]]:
    """Make a checkout of a version's commit hold the inputs of its record, and bring their bytes.

    A run may have started from a tree with local changes, and a commit holds none of them; the record has the params
    and the hashes of data, but of code the hash alone.

    Args:
        root: the project in the checkout.
        lock: the record.
        stages: of the record, which are to run.
    Returns:
        What still differs from the record, by stage: paths of code, or of inputs without a .dvc file.
    Raises:
        PipelineError: an input is neither in the cache nor in the remote.
        DataError: params.yaml is not valid.
    """
    for entry in lock.entries:
        _set_params(root, entry.get("params", {}))
        for dep in entry.get("deps", ()):
            _set_pointer(root / f"{dep['path']}.dvc", dep)
    entries = {stage_of(entry): dict(entry) for entry in lock.in_order}
    write_text(dump_yaml({"schema": "2.0", "stages": entries}), root / LOCK)
    order = parse_dot(query(root, "dag", "--dot")).order(stages)
    inputs = [address for address in order if is_input(address)]
    if inputs:
        bring_inputs(root, inputs)
    return _changed(
        root,
        [stage for stage in order if stage in entries],
        made={out for entry in lock.entries for out in _paths(entry, "outs")},
    )


def _set_params(root: Path, recorded: Mapping[str, Mapping[str, Any]]) -> None:
    for name, sections in recorded.items():
        path = root / name
        if path.parent != root:  # a name from a file is no way out of the checkout
            raise DataError(f"{LOCK}: params of {name!r}; expected {_PARAMS}")
        content = parse_yaml(path.read_text(encoding="utf-8")) if path.is_file() else {}
        changed = {**content, **sections}
        if changed != content:
            write_text(dump_yaml(changed), path)


def _set_pointer(path: Path, dep: Mapping[str, Any]) -> None:
    """Let a .dvc file name the content that was read."""
    if not path.is_file():
        return
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        (out,) = content["outs"]
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        raise DataError(f"{path}: not a .dvc file with one output; restore it with `git checkout`") from None
    if out.get("md5") != dep.get("md5"):
        out.update({key: dep[key] for key in _SIZES if key in dep})
        write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), path)


def _changed(root: Path, order: Sequence[str], made: set[str]) -> dict[str, list[str]]:
    """Inputs that differ from dvc.lock, by stage; what stages make is not there yet."""
    status = json.loads(query(root, "status", "--json"))
    found: dict[str, list[str]] = {}
    for stage in order:
        for change in status.get(stage, ()):
            if not isinstance(change, Mapping):  # "always changed"
                continue
            for path, how in change.get("changed deps", {}).items():
                # Params have a mapping here, and data of another graph is made again.
                if isinstance(how, str) and how != "deleted" and path not in made:
                    found.setdefault(stage, []).append(path)
    return found


def _paths(entry: Entry, kind: str) -> list[str]:
    return [str(item["path"]) for item in entry.get(kind, ())]
