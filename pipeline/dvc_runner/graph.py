"""The graph of stages as DVC sees it, and which part of it a run has to look at."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import ParamsError, PipelineError
from pipeline.phrases import suggest

_QUOTED = r'"((?:[^"\\]|\\.)*)"'


@dataclass(frozen=True)
class Graph:
    """Stages by DVC's address (`name`, `folder/dvc.yaml:name` or `data.dvc`), each with those it directly needs."""

    needs: Mapping[str, tuple[str, ...]]

    def order(self, targets: Sequence[str] = ()) -> list[str]:
        """The targets and everything that they need, each after what it needs.

        Without targets: the stages of the root dvc.yaml, as for `dvc repro`.
        """
        at_root = [name for name in self.needs if ":" not in name and not is_input(name)]
        wanted = [self.find(target) for target in targets] or at_root
        ordered: dict[str, None] = {}

        def visit(name: str) -> None:
            if name in ordered:
                return
            for needed in self.needs[name]:
                visit(needed)
            ordered[name] = None

        for name in wanted:
            visit(name)
        return list(ordered)

    def find(self, target: str) -> str:
        """A stage by address or, where only one has it, by name.

        Raises:
            ParamsError: there is no such stage, or more than one.
        """
        if target in self.needs:
            return target
        matches = [name for name in self.needs if label(name) == target]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise ParamsError(f"stage {target!r} is ambiguous; expected one of {', '.join(matches)}")
        names = [label(name) for name in self.needs if not is_input(name)]
        raise ParamsError(f"no stage {target!r}; {suggest(target, names, label='stages')}")


def label(address: str) -> str:
    """What a person calls the stage: its name without its file; a .dvc file keeps its path."""
    return address.rsplit(":", 1)[-1]


def is_input(address: str) -> bool:
    """Whether this is data put under DVC by hand (a .dvc file) and no command."""
    return address.endswith(".dvc")


def parse_dot(text: str) -> Graph:
    """The graph that `dvc dag --dot` printed.

    Raises:
        PipelineError: the text is something else.
    """
    if not text.lstrip().startswith("strict digraph"):
        raise PipelineError(f"dvc dag: expected a graph, found {text.strip()[:80]!r}; check dvc.yaml with `dvc dag`")
    needs: dict[str, list[str]] = {}
    for line in text.splitlines():
        edge = re.fullmatch(rf"\s*{_QUOTED}\s*->\s*{_QUOTED};?\s*", line)
        node = re.fullmatch(rf"\s*{_QUOTED};?\s*", line)
        if edge:
            needs.setdefault(edge[1], [])
            needs.setdefault(edge[2], []).append(edge[1])
        elif node:
            needs.setdefault(node[1], [])
    return Graph({name: tuple(above) for name, above in needs.items()})


def parse_status(text: str) -> dict[str, str]:
    """The stages that `dvc status --json` lists as not up to date: address to DVC's words, joined by spaces.

    Raises:
        PipelineError: the text is something else.
    """
    try:
        content = json.loads(text)
        return {str(name): " ".join(_words(changes)) for name, changes in content.items()}
    except (ValueError, AttributeError):
        raise PipelineError(f"dvc status: expected JSON, found {text.strip()[:80]!r}") from None


def _words(changes: object) -> list[str]:
    if isinstance(changes, str):
        return [changes]
    if isinstance(changes, Mapping):
        return [word for key, value in changes.items() for word in (str(key), *_words(value))]
    return [word for change in changes for word in _words(change)] if isinstance(changes, Sequence) else []
