"""What two evaluations were made with, and what differs: parameters, data, weights, code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.dvc_runner.lock import Lock

CODE = ("pipeline/", "stages/")
Pair = tuple[str, str]
"""What it is in A and in B, as text; "" where it does not exist."""


@dataclass(frozen=True)
class Changes:
    """What differs from A to B.

    Attributes:
        params: by dotted key, values as JSON.
        inputs: data and weights by path, DVC's MD5.
        code: files and folders of code, of those that the stages behind the scores depend on.
    """

    params: Mapping[str, Pair] = field(default_factory=dict)
    inputs: Mapping[str, Pair] = field(default_factory=dict)
    code: tuple[str, ...] = ()


def changes(a: Lock, b: Lock) -> Changes:
    """Compare two records of DVC, each of the stages behind some scores."""
    weights = {str(lock.params.get("backbone", {}).get("weights", "")) for lock in (a, b)}
    files = differing(a.deps, b.deps)
    code = {path for path in files if path.startswith(CODE) and path not in weights}
    return Changes(
        differing(dict(_flat(a.params)), dict(_flat(b.params))),
        {path: pair for path, pair in files.items() if path not in code},
        tuple(sorted(code)),
    )


def differing(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, Pair]:
    """The keys, sorted, whose values differ or that only one of the two has."""
    pairs = {key: (a.get(key, ""), b.get(key, "")) for key in sorted({*a, *b})}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[Pair]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, ensure_ascii=False)
