"""Which kind of source a path is."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.layout import folder_problem, is_hidden
from pipeline.errors import DataError, ParamsError
from pipeline.images import is_image
from pipeline.sources.archives import is_archive
from pipeline.sources.entry import Source
from pipeline.sources.fiftyone import fiftyone_source, label_files
from pipeline.sources.folder import folder_source
from pipeline.sources.imagefolder import imagefolder_source, metadata_tables
from pipeline.sources.jsonfiles import json_kind
from pipeline.sources.label_studio import is_table, label_studio_source
from pipeline.sources.listing import listing_source
from pipeline.sources.options import SourceOptions
from pipeline.sources.shards import shards_source
from pipeline.sources.splits import label_file_source, split_file_source

_SUFFIXES = {
    ".csv": "listing",
    ".tsv": "listing",
    ".jsonl": "listing",
    ".parquet": "listing",
    ".json": "split-file",
    ".txt": "label-file",
    ".tar": "shards",
    ".gz": "shards",
    ".tgz": "shards",
    ".zip": "shards",
}
_READERS = {
    "folder": folder_source,
    "listing": listing_source,
    "split-file": split_file_source,
    "label-file": label_file_source,
    "shards": shards_source,
    "imagefolder": imagefolder_source,
    "fiftyone": fiftyone_source,
    "label-studio": label_studio_source,
}
_PLACES = {  # what a kind is; a file by default
    "folder": ("folder",),
    "imagefolder": ("folder",),
    "shards": ("folder", "file"),
    "fiftyone": ("folder", "file"),
}
_WITH_IMAGES = ("folder", "shards", "imagefolder")  # these hold their images themselves
_WITH_COLUMNS = ("listing", "imagefolder", "label-studio")


def open_source(path: Path, options: SourceOptions | None = None, *, name: str = "") -> Source:
    """Understand what a path holds; nothing is copied and no image is decoded.

    Args:
        path: a folder, a .csv, .tsv, .jsonl or .parquet listing, a .json or .txt split file,
            an export, or tars and zips.
        options: how to read it; the path decides by default.
        name: of the data set; the domain's name where neither the source nor the options name one, unless no domain can
            be called so.
    Returns:
        A source; its entries lie in a data set's layout.
    Raises:
        DataError: nothing is there, it is of no known kind or layout, or something in it is refused by name.
        ParamsError: the options contradict the source.
    """
    options = options or SourceOptions()
    if folder_problem("domain", name):
        name = ""  # so that a source without domains asks for one
    if options.benchmark:
        from pipeline.sources.benchmarks import benchmark_source

        return benchmark_source(path, options.benchmark, open_set=options.open_set)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    kind = _kind_of(path, options) if options.kind == "auto" else options.kind
    if kind in _WITH_IMAGES and options.images:
        raise ParamsError(f"--images {options.images}: {path} holds its images itself; remove --images")
    if options.domains and kind not in ("folder", "shards"):
        raise ParamsError(f"--domains: {path} is no folder or archive whose folders could be parts; remove --domains")
    if kind not in _WITH_COLUMNS and options.columns:
        raise ParamsError(f"{options.columns[0]}: {path} is no table; remove the option, or give the table")
    places, place = _PLACES.get(kind, ("file",)), "folder" if path.is_dir() else "file"
    if place not in places:
        raise DataError(f"{path}: expected a {places[0]} for --kind {kind}, found a {place}")
    return _READERS[kind](path, options, name)


def _kind_of(path: Path, options: SourceOptions) -> str:
    if path.is_dir():
        return _kind_of_folder(path, options)
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None or (kind == "shards" and not is_archive(path)):
        raise DataError(f"{path}: unknown kind of source; expected a folder, {', '.join(_SUFFIXES)}")
    if path.suffix.lower() == ".json":
        return json_kind(path)
    return "label-studio" if kind == "listing" and is_table(path) else kind


def _kind_of_folder(path: Path, options: SourceOptions) -> str:
    visible = [entry for entry in path.iterdir() if not is_hidden(entry.name)]
    others = any(entry.is_dir() or is_image(entry) for entry in visible)
    if any(map(is_archive, visible)) and not others:
        return "shards"
    if label_files(path):
        return "fiftyone"
    return "imagefolder" if metadata_tables(path, options) else "folder"
