"""How params.yaml spells a value and a line."""

from __future__ import annotations

import json
from typing import Any

import yaml

COLUMN = 31
"""Where comments begin, unless the value is longer."""


def flow(value: Any) -> str:
    """A value on one line, which a YAML reader takes back as the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float) and 0 < abs(value) < 1e-3:
        return f"{value:.12f}".rstrip("0")  # YAML 1.1 takes 1e-05 for text
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    text = str(value)
    plain = text.replace("/", "").replace("_", "").replace("-", "").replace(".", "").isalnum()
    return text if plain and yaml.safe_load(f"[{text}]") == [text] else json.dumps(text, ensure_ascii=False)


def lines(indent: str, key: str, value: Any, comment: str) -> list[str]:
    """The lines of one key: a mapping as a block, everything else on one line, with the comment behind the first."""
    block = isinstance(value, dict) and bool(value)
    first = f"{indent}{flow(key)}:" if block else f"{indent}{flow(key)}: {flow(value)}"
    if comment:
        first = f"{first.ljust(COLUMN - 2)}  # {comment}"
    return [first, *(f"{indent}  {flow(inner)}: {flow(value[inner])}" for inner in value)] if block else [first]
