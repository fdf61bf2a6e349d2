"""How a source is to be read, as one value from the command line to the reader."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.layout import folder_problem
from pipeline.errors import ParamsError
from pipeline.phrases import suggest

KINDS = (
    *("folder", "listing", "split-file", "label-file", "shards", "imagefolder", "fiftyone", "label-studio"),
    "benchmark",
)


@dataclass(frozen=True)
class SourceOptions:
    """What a person says about a source; "" and None leave it to the source.

    Attributes:
        kind: one of KINDS, a benchmark's name, or `auto`: by the path's suffix and, for a folder, its depth.
        domain: the domain of all images, for a source without domains.
        open_set: the pool of candidate unknowns that all images become, below open_sets/<open_set>/.
        benchmark: a name of the catalogue (pipeline/sources/benchmarks): the folder must have one of its layouts.
        images: the folder that a listing's or split file's paths are relative to, where it is not found beside it.
        domains: folders called train, val, test and the like are domains or classes like any other, and no parts.
        path_column, class_column, domain_column, group_column: titles of a table's columns, where `columns.TITLES` has
            none of them.
    Raises:
        ParamsError: a value is unknown or no valid name, or two values contradict each other.
    """

    kind: str = "auto"
    domain: str = ""
    open_set: str = ""
    benchmark: str = ""
    images: Path | None = None
    domains: bool = False
    path_column: str = ""
    class_column: str = ""
    domain_column: str = ""
    group_column: str = ""

    def __post_init__(self) -> None:
        from pipeline.sources.benchmarks import benchmark, names

        kinds = ["auto", *KINDS, *names()]
        if self.kind not in kinds:
            raise ParamsError(f"--kind: unknown kind {self.kind!r}; {suggest(self.kind, kinds)}")
        if self.domain and self.open_set:
            raise ParamsError(
                f"--domain {self.domain} and --open-set {self.open_set}: images of an open set have no domain; "
                "give one of the two"
            )
        if self.domain and (problem := folder_problem("domain", self.domain)):
            raise ParamsError(f"--domain: {problem}")
        if self.open_set and (problem := folder_problem("pool", self.open_set)):
            raise ParamsError(f"--open-set: {problem}")
        if self.domain and self.domain_column:
            raise ParamsError(
                f"--domain {self.domain} and --domain-column {self.domain_column}: both name domains; give one"
            )
        if self.kind in names():
            object.__setattr__(self, "benchmark", self.benchmark or self.kind)
            object.__setattr__(self, "kind", "benchmark")
        if self.benchmark:
            benchmark(self.benchmark)
            if self.kind not in ("auto", "benchmark") or self.domain or self.images or self.domains or self.columns:
                raise ParamsError(
                    f"--benchmark {self.benchmark}: has layouts of its own; remove --kind, --domain(s), --images and "
                    "columns"
                )
        elif self.kind == "benchmark":
            raise ParamsError("--kind benchmark: name the benchmark with --benchmark")

    @property
    def columns(self) -> list[str]:
        """The options that name columns, as they are typed."""
        named = {
            "path": self.path_column,
            "class": self.class_column,
            "domain": self.domain_column,
            "group": self.group_column,
        }
        return [f"--{holds}-column {shlex.quote(title)}" for holds, title in named.items() if title]

    @property
    def typed(self) -> list[str]:
        """All options but --kind and --benchmark, as they are typed in a shell."""
        named = {"--domain": self.domain, "--open-set": self.open_set, "--images": str(self.images or "")}
        flags = [f"{flag} {shlex.quote(value)}" for flag, value in named.items() if value]
        return [*flags, *(["--domains"] if self.domains else []), *self.columns]
