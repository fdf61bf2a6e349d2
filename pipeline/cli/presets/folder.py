"""A user's own folder: what it holds, and the settings that follow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.cli.presets.files import Preset, read_preset
from pipeline.errors import DataError, ParamsError
from pipeline.phrases import counted, shorten
from pipeline.sources import open_source
from pipeline.tables import OPEN_SETS

DATA = Path("data")
_ENOUGH = 4  # classes of one domain, of which some can take turns at being unknown
_SHARE = 0.3


@dataclass(frozen=True)
class _Contents:
    counts: Mapping[tuple[str, str], int]  # images by domain and class
    pools: set[str]
    in_place: bool  # the folder is a data set of this workspace
    warnings: tuple[str, ...]

    @property
    def domains(self) -> list[str]:
        return sorted({domain for domain, _ in self.counts})

    @property
    def classes(self) -> list[str]:
        return sorted({name for _, name in self.counts})


def folder_preset(path: Path, name: str = "") -> Preset:
    """Settings for images like photographs: those of `released`, with shots that the smallest class has.

    Args:
        path: domain/class/image or class/image; nothing is copied.
        name: of the data set; the folder's name by default.
    Raises:
        DataError: no such folder; fewer than two classes; a class with one image; or a folder of classes where a
            data set is expected.
        ParamsError: the name has other characters than letters, digits, '.', '_' and '-'.
    """
    name = name or re.sub(r"[^A-Za-z0-9_.-]+", "-", path.resolve().name).strip("-._").lower()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ParamsError(f"--name: expected letters, digits, '.', '_' and '-', found {name!r}")
    contents = _contents(path, name)
    released = read_preset("_released")
    values, origins, warnings = dict(released.values), dict(released.origins), list(contents.warnings)
    values["data.root"] = f"{DATA}/{path.resolve().name if contents.in_place else name}"
    values["backbone.class_names"] = {c: c.replace("_", " ") for c in contents.classes if "_" in c}
    missing = [f"{d}/{c}" for d in contents.domains for c in contents.classes if (d, c) not in contents.counts]
    if missing:
        warnings.append(f"no images of {shorten(missing, 5)}")
    smallest, fewest = min(contents.counts.items(), key=lambda item: (item[1], item[0]))
    shots, validation = values["split.shots"], values["split.validation"]
    if fewest < shots + validation:
        where = f"{'/'.join(smallest)} holds {counted(fewest, 'image')}, the fewest"
        validation = max(1, min(validation, fewest // 3))
        shots = max(1, min(shots, fewest - validation))
        values |= {"split.shots": shots, "split.validation": validation}
        origins |= {"split.shots": where, "split.validation": where}
        warnings.append(f"{where}: shots {shots}, validation {validation}")
    if len(contents.domains) == 1:
        warnings.append(f"one domain only ({contents.domains[0]}): accuracy on an unseen domain cannot be measured")
        if len(contents.classes) >= _ENOUGH and not contents.pools:
            values["split.unknown_share"] = _SHARE
            origins["split.unknown_share"] = "no domain can be held out, so classes are"
    elif not contents.pools:
        warnings.append("no class is unknown: to measure 'unknown', name some in data.unknown or add an open set")
    images, classes = counted(sum(contents.counts.values()), "image"), counted(len(contents.classes), "class")
    domains = f"{counted(len(contents.domains), 'domain')} ({shorten(contents.domains, 6)})"
    return replace(
        released,
        name="folder",
        title=f"{path}: {images}, {domains}, {classes}",
        values=values,
        origins=origins,
        path=None if contents.in_place else path,
        warnings=tuple(warnings),
    )


def _contents(path: Path, name: str) -> _Contents:
    root = path.resolve()
    source = open_source(path, name=name)
    counts: Counter[tuple[str, str]] = Counter()
    pools = set()
    in_place = root.parent == DATA.resolve()
    for entry in source:
        first, second, *_ = entry.target.split("/")
        if first == OPEN_SETS:
            pools.add(second)
        else:
            counts[first, second] += 1
        if in_place and entry.origin != str(path / entry.target):
            raise DataError(
                f"{path}: a data set in {DATA}/ is domain/class/image; put its classes into a domain's folder"
            )
    classes = sorted({class_ for _, class_ in counts})
    if len(classes) < 2:
        raise DataError(f"{path}: holds {counted(len(classes), 'class')} ({', '.join(classes)}); at least 2 are needed")
    for (domain, class_), count in sorted(counts.items()):
        if count < 2:
            raise DataError(
                f"{path}: {domain}/{class_} holds {counted(count, 'image')}; training and validation need 2"
            )
    return _Contents(counts, pools, in_place, tuple(source.warnings))
