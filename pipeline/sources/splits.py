"""Split files of the CLIP literature: CoOp's JSON, and the text files of PACS and DomainNet (`path label` a line).

CoOp: Zhou et al., "Learning to Prompt for Vision-Language Models", IJCV 2022; its split_zhou_*.json hold
{"train": [[path, label, class name], ...], "val": [...], "test": [...]}. Dassl reads the text files of PACS, whose
labels begin with 1, and those of DomainNet, whose labels begin with 0 (Dassl.pytorch, dassl/data/datasets).
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.data.parts import plain_part
from pipeline.errors import DataError
from pipeline.phrases import counted
from pipeline.sources.encodings import check_utf8, not_utf8
from pipeline.sources.entry import Source
from pipeline.sources.jsonfiles import read_json
from pipeline.sources.options import SourceOptions
from pipeline.sources.paths import path_problem
from pipeline.sources.rows import Row, check_labels, rows_source
from pipeline.tables import PARTS

_MAX_BYTES = 512 * 1024**2  # ImageNet's is 130 MB


def split_file_source(path: Path, options: SourceOptions, name: str) -> Source:
    """CoOp's and Dassl's JSON; paths are relative to the folder of images beside it.

    Args:
        path: a .json file.
        options, name: as in `listing_source`.
    Raises:
        DataError: it is no such file, an item is no [path, label, class name], labels and names disagree, or rows are
            refused as in `rows_source`; the list and position are named.
        ParamsError: no domain is known.
    """
    items = _read_lists(path)
    rows, labels = [], []
    for part in PARTS:
        for index, item in enumerate(items.get(part, [])):
            where = f"{part}[{index}]"
            if not _is_item(item):
                raise DataError(f"{path}: {where}: expected [path, label, class name], found {str(item)[:100]}")
            rows.append(Row(where, item[0], item[2].strip(), part=part))
            labels.append((where, int(item[1]), item[2].strip()))
    if not rows:
        raise DataError(f"{path}: its lists {', '.join(PARTS)} hold no images")
    notes = [f"{path}: a split file of {counted(len(rows), 'image')}", *check_labels(path, labels)]
    unused = sorted(set(items) - set(PARTS))
    if unused:
        notes.append(f"lists not used: {', '.join(unused)}")
    return rows_source(path, "split-file", rows, options, name, notes)


def label_file_source(path: Path, options: SourceOptions, name: str) -> Source:
    """Text files with `path label` a line; an image's folder is its class, the folder above that its domain.

    Args:
        path: such as photo_train_kfold.txt; _train, _crossval, _val and _test in its name give the part. The
            _test_kfold files of PACS list a whole domain, so they give none.
        options, name: as in `listing_source`.
    Raises:
        DataError: a line is not `path label`, labels and folders disagree, or rows are refused as in `rows_source`.
        ParamsError: no domain is known.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES:,} bytes")
    rows, labels = [], []
    part = _part_of(path.stem)
    check_utf8(path)
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                image, _, label = line.strip().replace("\\", "/").rpartition(" ")
                if not image or not label.lstrip("-").isdigit() or "/" not in image:
                    raise DataError(
                        f"{path}: line {number}: expected `folder/image label`, found {line.strip()[:100]!r}"
                    )
                parents = PurePosixPath(image).parent.parts
                domain = parents[-2] if len(parents) > 1 and not options.domain else ""
                where = f"line {number}"
                rows.append(Row(where, image, parents[-1], domain, part))
                if not path_problem(image):
                    labels.append((where, int(label), parents[-1]))
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    if not rows:
        raise DataError(f"{path}: lists no images")
    notes = [
        f"{path}: {counted(len(rows), 'image')} with labels{f', part {part}' if part else ''}; classes by folder",
        *(check_labels(path, labels) if labels else []),
    ]
    return rows_source(path, "label-file", rows, options, name, notes)


def _part_of(stem: str) -> str:
    words = stem.lower().split("_")
    if words[-1] == "kfold" and "test" in words:
        return ""
    named = {plain_part(word) for word in words}
    return next((part for part in PARTS if part in named), "")


def _is_item(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 3
        and isinstance(item[0], str)
        and isinstance(item[1], int | str)
        and str(item[1]).lstrip("-").isdigit()
        and isinstance(item[2], str)
        and bool(item[2].strip())
    )


def _read_lists(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not any(isinstance(content.get(part), list) for part in PARTS):
        raise DataError(f"{path}: expected a mapping with the lists {', '.join(PARTS)}")
    wrong = [part for part in PARTS if part in content and not isinstance(content[part], list)]
    if wrong:
        raise DataError(f"{path}: {wrong[0]}: expected a list")
    return content
