"""Benchmarks as data: the YAML files of this folder as frozen, checked values."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipeline.errors import ParamsError
from pipeline.phrases import suggest

_HERE = Path(__file__).parent


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_frozen)]
Count = Annotated[int, Field(ge=1)]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Layout(_Facts):
    """Where class folders lie below the folder that is added.

    `path` is made of {domain}, {part} and {class}; it begins at one of `at`. `names` says what class folders are
    called where it is not the catalogue's names: wnids or indices of ImageNet.
    """

    path: str
    at: Texts
    cite: str
    domain: str = ""
    part: Literal["", "train", "val", "test"] = ""
    parts: dict[str, Literal["", "train", "val", "test"]] = {}
    names: Literal["", "wnid", "index"] = ""

    @model_validator(mode="after")
    def _path(self) -> Layout:
        steps = self.path.split("/") if self.path else []
        if not set(steps) <= {"{domain}", "{part}", "{class}"} or steps[-1:] not in ([], ["{class}"]):
            raise ValueError(f"path: expected {{domain}} and {{part}}, then {{class}} at the end, found {self.path!r}")
        if ("{part}" in steps) != bool(self.parts) or ("{domain}" in steps and self.domain):
            raise ValueError(f"path: {self.path!r} contradicts parts or domain")
        return self

    @property
    def steps(self) -> tuple[str, ...]:
        """The path's levels; none where images lie without class folders."""
        return tuple(self.path.split("/")) if self.path else ()


class Domain(_Facts):
    """What a domain's folder is also called, and its images, 0 where no source states them."""

    folders: Texts = ()
    images: Annotated[int, Field(ge=0)] = 0


class Benchmark(_Facts):
    """One data set: what its files look like and hold, and where that is stated."""

    title: str
    paper: str
    role: Literal["domains", "open_set"]
    get: Texts
    layouts: Annotated[tuple[Layout, ...], BeforeValidator(_frozen)]
    cites: Texts
    traps: Texts
    domains: dict[str, Domain] = {}
    classes: dict[str, Texts] = {}  # class to other names of its folder; empty where only their number is known
    class_count: Annotated[int, Field(ge=0)] = 0
    images: Annotated[int, Field(ge=0)] = 0  # of the whole, where domains have no numbers
    prompts: dict[str, str] = {}  # class to how prompts call it, where it is not its name with spaces
    lower: bool = False  # prompts call classes in lower case
    ignored: dict[str, str] = {}  # class folder to why it is skipped
    left_aside: dict[str, str] = {}  # image to why it is skipped
    companions: Texts = ()  # benchmarks that are read too if they lie in the same folder

    @model_validator(mode="after")
    def _joint(self) -> Benchmark:
        if bool(self.domains) != (self.role == "domains"):
            raise ValueError("domains: required with the role domains, not allowed with the role open_set")
        unknown = set(self.prompts) - set(self.classes) if self.classes else set()
        if unknown:
            raise ValueError(f"prompts: {sorted(unknown)[0]!r} is not a class")
        return self

    @property
    def expected_classes(self) -> int:
        """Classes of a domain, or of the open set; 0 where there are none."""
        return len(self.classes) or self.class_count

    @property
    def expected_images(self) -> int:
        """Images of the whole; 0 where no source states them."""
        return self.images or sum(domain.images for domain in self.domains.values())

    def prompt_name(self, name: str) -> str:
        """How prompts call a class."""
        if name in self.prompts:
            return self.prompts[name]
        spaced = name.replace("_", " ")
        return spaced.lower() if self.lower else spaced


def names() -> list[str]:
    """The benchmarks that are known, sorted."""
    return sorted(path.stem for path in _HERE.glob("*.yaml"))


@functools.cache
def benchmark(name: str) -> Benchmark:
    """The facts of one benchmark.

    Raises:
        ParamsError: there is no such benchmark.
    """
    import yaml

    if name not in names():
        raise ParamsError(f"--benchmark: unknown benchmark {name!r}; {suggest(name.lower(), names())}")
    return Benchmark.model_validate(yaml.safe_load((_HERE / f"{name}.yaml").read_text(encoding="utf-8")))
