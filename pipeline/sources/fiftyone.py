"""FiftyOne's FiftyOneImageClassificationDataset: data/ with the images beside labels.json, once or for each split.

labels.json is {"classes": [names], "labels": {path below data/ without its ending: target}}; a target is an index into
the classes, a name, {"label": either of them}, or null for an image without one (FiftyOne, "Loading data from disk").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.data.listing import entries
from pipeline.data.parts import plain_part
from pipeline.errors import DataError
from pipeline.phrases import counted
from pipeline.sources.entry import Source
from pipeline.sources.jsonfiles import read_json
from pipeline.sources.options import SourceOptions
from pipeline.sources.paths import path_problem
from pipeline.sources.rows import Row, leaving_out, rows_source, unlisted
from pipeline.tables import PARTS

LABELS = "labels.json"
DATA = "data"

_SHAPE = 'expected {"classes": [...], "labels": {"file": "class"}}, as FiftyOneImageClassificationDataset has'


def label_files(folder: Path) -> list[Path]:
    """labels.json beside data/ in a folder, or in its folders of a split, sorted; none where it is no such export."""
    candidates = [folder, *(Path(entry.path) for entry in entries(folder) if entry.is_dir() and not entry.is_symlink())]
    files = [place / LABELS for place in candidates if (place / LABELS).is_file() and (place / DATA).is_dir()]
    return files[:1] if files[:1] == [folder / LABELS] else files


def fiftyone_source(path: Path, options: SourceOptions, name: str) -> Source:
    """An export of FiftyOne.

    Args:
        path: the folder, or a labels.json.
        options: as in `listing_source`; images is the folder that data/ stands for.
        name: the domain of the images, where the options name none.
    Raises:
        DataError: it is no such export; a label is no class, several or a box; or rows are refused as in `rows_source`.
            The image is named.
        ParamsError: no domain is known.
    """
    root = path if path.is_dir() else path.parent
    files = label_files(path) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: expected {LABELS} and {DATA}/, here or in train/ and the like")
    rows: list[Row] = []
    notes: list[str] = []
    for file in files:
        below = file.parent.relative_to(root).as_posix()
        at = "" if below == "." else f"{below}/"
        prefix = "" if options.images else f"{at}{DATA}/"
        part = plain_part(file.parent.name) if at else ""
        labelled = _labels(file)
        for key, class_ in labelled:
            plain = key.replace("\\", "/")
            place = key if path_problem(plain) else f"{prefix}{plain}"  # a hostile path stays, and is refused by name
            rows.append(Row(f"{at}{LABELS}: {key}", place, class_, part=part if part in PARTS else ""))
        notes.append(f"{file}: an export of FiftyOne, {counted(len(labelled), 'labelled image')}")
    source = rows_source(path, "fiftyone", rows, replace(options, images=options.images or root), name, notes)
    folders = [options.images] if options.images else [file.parent / DATA for file in files]
    return leaving_out(source, unlisted(source, folders, "without a label"))


def _labels(file: Path) -> list[tuple[str, str]]:
    """(file's path without its ending, class) of each labelled image."""
    content = read_json(file)
    labels = content.get("labels") if isinstance(content, dict) else None
    classes = content.get("classes") if isinstance(content, dict) else None
    named = classes is None or (isinstance(classes, list) and all(isinstance(name, str) for name in classes))
    if not isinstance(labels, dict) or not named:
        raise DataError(f"{file}: {_SHAPE}")
    pairs = [(key, _class(f"{file}: {key}", target, classes)) for key, target in labels.items()]
    return [(key, class_) for key, class_ in pairs if class_]


def _class(where: str, target: Any, classes: Sequence[str] | None) -> str:
    """The class that a target names; "" for none."""
    if isinstance(target, list):
        if len(target) > 1 or any(isinstance(item, dict) and "bounding_box" in item for item in target):
            raise DataError(f"{where}: several labels or boxes; expected one class per image")
        target = target[0] if target else None
    if isinstance(target, dict):
        target = target.get("label")
    if target is None:
        return ""
    if isinstance(target, int) and not isinstance(target, bool):
        if classes is None:
            return str(target)
        if not 0 <= target < len(classes):
            raise DataError(
                f"{where}: label {target}, but 'classes' has {counted(len(classes), 'name')}, counted from 0"
            )
        return classes[target].strip()
    if not isinstance(target, str):
        raise DataError(f"{where}: expected a class or its index, found {str(target)[:60]!r}")
    return target.strip()
