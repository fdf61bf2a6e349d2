"""How params.yaml spells a value."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from pipeline.params.yaml_text import parse_yaml


def spell(value: Any) -> str:
    """A value on one line of YAML, which readers of YAML 1.1 and of 1.2 take for the same value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float):
        return _spell_float(value)
    if isinstance(value, int):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(spell, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{spell(key)}: {spell(inner)}" for key, inner in value.items()) + "}"
    text = str(value)
    plain = text.replace("/", "").replace("_", "").replace("-", "").replace(".", "").isalnum()
    if plain and parse_yaml(f"[{text}]") == [text]:
        return text
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(text, ensure_ascii=False))


def _spell_float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = repr(value)
    if "e" not in text:
        return text
    if 1e-12 <= abs(value) < 1:
        return format(Decimal(text), "f")
    mantissa, exponent = text.split("e")  # YAML 1.1 reads 1e-30 as text, and 1.0e-30 as a number
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}e{exponent}"
