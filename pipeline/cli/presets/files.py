"""The presets that ship, one YAML file each: values of params.yaml and where each is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in _HERE.glob("[!_]*.yaml")))
"""Every YAML file of this folder but those that only others build on, which begin with an underscore."""


@dataclass(frozen=True)
class Preset:
    """Values for params.yaml.

    Attributes:
        name: what comments and messages call it.
        title: one line that describes it.
        values: section.key to value; a mapping replaces the whole of what is there.
        origins: section.key to where the value is from.
        benchmark: of the catalogue, where the data are one; "" otherwise.
        pools: benchmarks that the protocol takes as open sets.
        path: where the data are now, if known.
        options: of the command line that are needed to read them there.
        report: how they were read there, a line each.
        warnings: what to know before a run.
    """

    name: str
    title: str
    values: Mapping[str, Any]
    origins: Mapping[str, str] = field(default_factory=dict)
    benchmark: str = ""
    pools: tuple[str, ...] = ()
    path: Path | None = None
    options: tuple[str, ...] = ()
    report: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_preset(name: str) -> Preset:
    """A preset that ships: `name` is one of NAMES, or a base of theirs."""
    import yaml

    content = yaml.safe_load((_HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    base = read_preset(content["base"]) if "base" in content else None
    values = dict(base.values) if base else {}
    origins = dict(base.origins) if base else {}
    for key, entry in content["values"].items():
        values[key] = entry["value"]
        origins.pop(key, None)
        if "from" in entry:
            origins[key] = entry["from"]
    return Preset(
        name, content["title"], values, origins, content.get("benchmark", ""), tuple(content.get("pools", ()))
    )
