"""A folder of one's own: what it holds, and the settings that follow from it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from pipeline.cli.presets.files import Preset, read_preset
from pipeline.data.sources import open_source
from pipeline.errors import DataError, ParamsError
from pipeline.tables import OPEN_SETS

DATA = Path("data")


def folder_preset(path: Path, name: str = "") -> Preset:
    """Settings for images like photographs: those of `released`, with shots that the smallest class has.

    Args:
        path: domain/class/image or class/image; nothing is copied.
        name: of the data set; the folder's name by default.
    Raises:
        DataError: it is no such folder, or holds fewer than two classes, or a class with one image.
        ParamsError: the name is no plain name.
    """
    name = name or re.sub(r"[^A-Za-z0-9_.-]+", "-", path.resolve().name).strip("-._").lower()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ParamsError(f"--name: expected letters, digits, '.', '_' and '-', found {name!r}")
    source = open_source(path, name=name)
    counts = Counter(
        tuple(entry.target.split("/")[:2]) for entry in source if not entry.target.startswith(f"{OPEN_SETS}/")
    )
    domains = sorted({domain for domain, _ in counts})
    classes = sorted({class_ for _, class_ in counts})
    if len(classes) < 2:
        raise DataError(f"{path}: holds {len(classes)} class ({', '.join(classes)}); at least 2 are needed")
    smallest, fewest = min(counts.items(), key=lambda item: (item[1], item[0]))
    if fewest < 2:
        raise DataError(
            f"{path}: {'/'.join(smallest)} holds {fewest} image; one to train and one to validate are needed"
        )
    released = read_preset("released")
    shots, validation = released.values["split.shots"], released.values["split.validation"]
    if fewest < shots + validation:
        validation = max(1, min(validation, fewest // 3))
        shots = max(1, min(shots, fewest - validation))
    where = f"{'/'.join(smallest)} holds {fewest} images, the fewest"
    inside = path.resolve().is_relative_to(DATA.resolve()) and path.resolve().parent == DATA.resolve()
    values = {
        **released.values,
        "data.root": f"{DATA}/{path.resolve().name if inside else name}",
        "split.shots": shots,
        "split.validation": validation,
        "backbone.class_names": {name: name.replace("_", " ") for name in classes if "_" in name},
    }
    warnings = list(source.warnings)
    missing = [f"{d}/{c}" for d in domains for c in classes if (d, c) not in counts]
    if missing:
        warnings.append(
            f"no images of {', '.join(missing[:5])}{f' and {len(missing) - 5} more' if missing[5:] else ''}"
        )
    if len(domains) == 1:
        warnings.append(
            f"one domain only ({domains[0]}): none can be held out, so nothing tells how a new style will do"
        )
    if fewest < 16 + 8:
        warnings.append(f"{where}: shots {shots}, validation {validation}")
    total = sum(counts.values())
    return replace(
        released,
        name="folder",
        title=f"{path}: {total} images, {len(domains)} domains ({', '.join(domains[:6])}), {len(classes)} classes",
        values=values,
        origins={**released.origins, "split.shots": where, "split.validation": where},
        path=None if inside else path,
        warnings=tuple(warnings),
    )
