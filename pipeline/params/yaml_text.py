"""The YAML of params files: read and written safely, with every spelling of a number that DVC reads as one.

PyYAML follows YAML 1.1, to which `1e-3` and `1.5e3` are words. DVC follows YAML 1.2: it records them as numbers, and
writes `1e-05` itself (`dvc exp run -S finetune.lr=0.00001`).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_FLOAT = "tag:yaml.org,2002:float"
_EXPONENT = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$")
_FIRST = list("-+.0123456789")

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with it
Loader: Any = type("Loader", (_SAFE,), {"__doc__": "PyYAML's safe loader, for which `1e-3` is a number."})
Loader.add_implicit_resolver(_FLOAT, _EXPONENT, _FIRST)


class _Dumper(yaml.SafeDumper):
    """Quotes a text that `Loader` would read as a number."""


_Dumper.add_implicit_resolver(_FLOAT, _EXPONENT, _FIRST)


def parse_yaml(text: str) -> Any:
    """The values of a YAML document.

    Raises:
        yaml.YAMLError: it is no YAML, or holds anything but plain values.
    """
    return yaml.load(text, Loader=Loader)  # noqa: S506  a safe loader


def dump_yaml(content: object) -> str:
    """Plain values as a YAML document that `parse_yaml` reads as the same; mappings keep their order."""
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True))
