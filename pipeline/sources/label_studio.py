"""Label Studio's exports of image classification: JSON, JSON_MIN, CSV and TSV.

JSON holds tasks: {"data": {"image": URL}, "annotations": [{"result": [{"type": "choices", "from_name": control,
"value": {"choices": [class]}}], "was_cancelled": ..., "ground_truth": ...}]}. The others hold a record for each
annotation, with a column for each control (Label Studio, "Export annotations and data"; label-studio-converter,
exports/csv2.py). None of them holds the images: their files are looked up by the end of the URL.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, ParamsError
from pipeline.phrases import counted, shorten, suggest
from pipeline.sources.entry import Source
from pipeline.sources.jsonfiles import read_json
from pipeline.sources.label_studio_files import are_images, ends_like_an_image, find_images
from pipeline.sources.listing import read_table, table_titles
from pipeline.sources.options import SourceOptions
from pipeline.sources.rows import Row, leaving_out, rows_source

_OWN = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "was_cancelled", "agreement"}
_CONTROLS = ("choice", "class", "label")  # usual names of the control that holds the class
_IMAGES = ("image", "img")
_NAMED = 5  # problems that an error names


@dataclass(frozen=True, slots=True)
class _Record:
    """One annotation, or a task without any; `where` is for messages."""

    where: str
    facts: Mapping[str, Any]
    truth: bool = False


def is_table(path: Path) -> bool:
    """Whether a .csv or .tsv is an export, by its header."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return False
    with contextlib.suppress(DataError):
        return {"annotation_id", "annotator"} <= set(table_titles(path, SourceOptions()))
    return False


def label_studio_source(path: Path, options: SourceOptions, name: str) -> Source:
    """An export, beside its images or with options.images.

    Args:
        path: .json, .csv or .tsv.
        options: as in `listing_source`; columns are keys of a task's data, and names of controls.
        name: the domain of images that have none, where the options name none.
    Raises:
        DataError: it is no such export, an image has several classes or annotators disagree, no image has a class, or a
            file is not found. The task is named.
        ParamsError: no domain is known, or a column that an option names is not there.
    """
    records, controls = _read(path)
    keys = list(dict.fromkeys(key for record in records for key in record.facts))
    image = _image_key(path, records, keys, options)
    domain = _key(path, keys, options.domain_column, "--domain-column") or ("domain" if "domain" in keys else "")
    if options.class_column:
        control = _key(path, keys, options.class_column, "--class-column")
    else:
        control = _control(
            path, [key for key in keys if key not in {*_OWN, image, domain}] if controls is None else controls
        )
    tasks: dict[str, list[_Record]] = {}
    for record in records:
        tasks.setdefault(str(record.facts.get(image) or ""), []).append(record)
    rows: list[Row] = []
    problems: list[str] = []
    without: list[str] = []
    for url, answers in tasks.items():
        try:
            class_ = _class(answers, control)
        except ValueError as error:
            problems.append(f"{answers[0].where}: {error}")
            continue
        if not class_:
            without.append(url or answers[0].where)
        else:
            rows.append(Row(answers[0].where, url, class_, str(answers[0].facts.get(domain) or "").strip()))
    if problems:
        raise DataError(f"{path}: {shorten(problems, _NAMED, separator='; ')}")
    if not rows:
        raise DataError(f"{path}: no image has a class in {control!r}; expected one choice per image")
    notes = [f"{path}: an export of Label Studio, {counted(len(rows), 'image')} with a class in {control!r}"]
    rows, placed = find_images(path, rows, options)
    return leaving_out(rows_source(path, "label-studio", rows, placed, name, notes), {"without a label": without})


def _read(path: Path) -> tuple[list[_Record], list[str] | None]:
    """The records, and the controls that hold choices; None where the export does not tell them from other columns."""
    if path.suffix.lower() != ".json":
        return list(_table(path)), None
    content = read_json(path)
    if not isinstance(content, list) or not content or not all(isinstance(task, dict) for task in content):
        raise DataError(f"{path}: expected a list of tasks, as Label Studio's JSON and JSON_MIN have")
    if not any("data" in task for task in content):
        return [_Record(_where(task, index), task) for index, task in enumerate(content)], None
    records: list[_Record] = []
    controls: dict[str, None] = {}
    for index, task in enumerate(content):
        for record, chosen in _annotations(f"{path}: {_where(task, index)}", _where(task, index), task):
            records.append(record)
            controls.update(dict.fromkeys(chosen))
    return records, list(controls)


def _where(task: Mapping[str, Any], index: int) -> str:
    return f"task {task.get('id', f'number {index + 1}')}"


def _annotations(origin: str, where: str, task: Mapping[str, Any]) -> Iterator[tuple[_Record, list[str]]]:
    """A record for each annotation that was not cancelled, and the controls of its choices; the bare task if none."""
    data = task.get("data")
    annotations = task.get("annotations", task.get("completions")) or []  # the latter before version 1
    if not isinstance(data, dict) or not isinstance(annotations, list):
        raise DataError(f"{origin}: expected a mapping 'data' and a list 'annotations', as Label Studio's JSON has")
    live = [note for note in annotations if isinstance(note, dict) and not note.get("was_cancelled")]
    for note in live:
        chosen = _chosen(note.get("result"))
        yield _Record(where, {**data, **chosen}, truth=bool(note.get("ground_truth"))), list(chosen)
    if not live:
        yield _Record(where, data), []


def _chosen(results: Any) -> dict[str, list[Any]]:
    """The choices of an annotation by the control that they were made in."""
    chosen: dict[str, list[Any]] = {}
    for result in results if isinstance(results, list) else []:
        value = result.get("value") if isinstance(result, dict) and result.get("type") == "choices" else None
        if isinstance(value, dict) and isinstance(value.get("choices"), list):
            chosen.setdefault(str(result.get("from_name")), []).extend(value["choices"])
    return chosen


def _table(path: Path) -> Iterator[_Record]:
    reader = read_table(path, SourceOptions())
    titles = [(title or "").strip() for title in next(reader)[1]]
    for where, fields in reader:
        yield _Record(where, dict(zip(titles, fields, strict=True)))


def _image_key(path: Path, records: Sequence[_Record], keys: Sequence[str], options: SourceOptions) -> str:
    if options.path_column:
        return _key(path, keys, options.path_column, "--path-column")
    columns = {key: [record.facts.get(key) for record in records] for key in (*_IMAGES, *keys)}
    likely = [key for key, values in columns.items() if any(map(ends_like_an_image, values))]
    likely = likely or [key for key, values in columns.items() if are_images(path, values, options)]
    if not likely:
        raise DataError(f"{path}: no column of images; found: {', '.join(keys)}; name it with --path-column")
    return likely[0]


def _control(path: Path, candidates: Sequence[str]) -> str:
    known = [key for key in _CONTROLS if key in candidates] or (list(candidates) if len(candidates) == 1 else [])
    if not known:
        found = ", ".join(candidates) or "none"
        raise DataError(f"{path}: no column of classes; found: {found}; name it with --class-column")
    return known[0]


def _key(path: Path, keys: Sequence[str], option: str, flag: str) -> str:
    if option and option not in keys:
        raise ParamsError(f"{flag} {option}: {path} has no such column; {suggest(option, keys, label='found')}")
    return option


def _class(answers: Sequence[_Record], control: str) -> str:
    """The class that the annotations of one image agree on; "" for none.

    Raises:
        ValueError: they disagree, or one names several; the ground truth, where one is marked, decides.
    """
    deciding = [record for record in answers if record.truth] or answers
    classes = {_choice(record.facts.get(control)) for record in deciding if not _cancelled(record)} - {""}
    if len(classes) > 1:
        raise ValueError(
            f"annotators disagree ({', '.join(sorted(classes))}); mark one annotation as ground truth and export "
            "JSON, or delete the others"
        )
    return classes.pop() if classes else ""


def _cancelled(record: _Record) -> bool:
    return str(record.facts.get("was_cancelled") or "").lower() == "true"


def _choice(value: Any) -> str:
    if isinstance(value, str) and value.startswith(("{", "[")):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, dict):
        value = value.get("choices")
    if isinstance(value, list):
        if len(value) > 1 or (value and not isinstance(value[0], str)):
            raise ValueError(f"several choices ({str(value)[:60]}); expected one class per image")
        value = value[0] if value else ""
    return "" if value is None else str(value).strip()
