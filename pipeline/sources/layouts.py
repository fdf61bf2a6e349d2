"""Every layout that is read, as an example that docs/datasets.md draws and a test adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

_TABLE = Path(__file__).with_name("layouts.yaml")


@dataclass(frozen=True)
class Example:
    """One layout.

    Attributes:
        name: what it is.
        shape: of its paths.
        files: path to content, of a text; None for an image.
        becomes: place in the data set, named pets, to part.
        options: of `SourceOptions`.
        add: the file that is added; "" for the folder.
        pack: the archive that the files are members of; "" for files on disk.
        says: one more sentence.
    """

    name: str
    shape: str
    files: Mapping[str, str | None]
    becomes: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    add: str = ""
    pack: str = ""
    says: str = ""

    @property
    def path(self) -> str:
        """What is added."""
        return self.pack or f"pets/{self.add}"


def examples() -> list[Example]:
    """All of them, in the order of the page."""
    import yaml

    return [Example(**entry) for entry in yaml.safe_load(_TABLE.read_text(encoding="utf-8"))]


def page() -> str:
    """A Markdown table of the layouts, then each as a tree with its command and what becomes of it."""
    known = examples()
    rows = [f"| [{e.name}](#{e.name.replace(' ', '-').lower()}) | {e.shape} | `{e.path}{_options(e)}` |" for e in known]
    table = ["| layout | paths | `croft data add` |", "|---|---|---|", *rows, ""]
    return "\n".join([*table, *map(_section, known)])


def _section(example: Example) -> str:
    lines = [f"### {example.name.capitalize()}", "", *([example.says, ""] if example.says else []), "```"]
    lines += [f"$ croft data add {example.path}{_options(example)} --name pets", ""]
    texts = {path: text for path, text in example.files.items() if text}
    drawn = [example.pack or "pets/", *_tree(list(example.files))]
    becomes = [
        "data/pets/",
        *_tree(list(example.becomes), {p: f"  ({part})" for p, part in example.becomes.items() if part}),
    ]
    width = max(map(len, drawn)) + 6
    for left, right in zip_longest(drawn, becomes, fillvalue=""):
        lines.append(f"{left:{width}}{right}".rstrip())
    for path, text in texts.items():
        lines += ["", f"{path}: {text.rstrip()}" if "\n" not in text.rstrip() else f"{path}:\n{text.rstrip()}"]
    return "\n".join([*lines, "```", ""])


def _options(example: Example) -> str:
    named = [(key.replace("_", "-"), value) for key, value in example.options.items()]
    return "".join(f" --{key}" if value is True else f" --{key} {value}" for key, value in named)


def _tree(paths: Sequence[str], says: Mapping[str, str] = MappingProxyType({}), above: str = "") -> list[str]:
    """A tree as `tree` draws it, without its top.

    Args:
        paths: all of them below `above`.
        says: what comes after the name of a path's file.
        above: the folder whose content is drawn; ends with a slash, unless it is the top.
    """
    names = list(dict.fromkeys(path.removeprefix(above).partition("/")[0] for path in paths))
    lines: list[str] = []
    for name in names:
        last = name == names[-1]
        inner = [path for path in paths if path.startswith(f"{above}{name}/")]
        lines.append(f"{'└── ' if last else '├── '}{name}{'/' if inner else says.get(above + name, '')}")
        deeper = _tree(inner, says, f"{above}{name}/") if inner else []
        lines += [f"{'    ' if last else '│   '}{line}" for line in deeper]
    return lines
