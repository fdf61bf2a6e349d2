"""Files of the images that Label Studio's exports name by URL, found below a folder by the end of the URL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pipeline.errors import DataError
from pipeline.images import SUFFIXES, is_image
from pipeline.phrases import shorten
from pipeline.sources.options import SourceOptions
from pipeline.sources.paths import Below, folders_in
from pipeline.sources.rows import Row

_NAMED = 5  # problems that an error names
_TRIED = 3  # first images that a folder must hold
_UPLOAD = "data/upload/"
_HASH = re.compile("[0-9a-f]{8}-")  # before the name of an uploaded file


def ends_like_an_image(value: Any) -> bool:
    """Whether a value is a URL or path with the ending of an image."""
    return isinstance(value, str) and _path(value).lower().endswith(SUFFIXES)


def are_images(path: Path, values: Sequence[Any], options: SourceOptions) -> bool:
    """Whether the first values of a column are URLs or paths of images that are found, whatever their ending.

    Args:
        path: of the export.
        values: of the column; those that are no texts do not count.
        options: images counts here.
    """
    urls = [value for value in values if isinstance(value, str) and value][:_TRIED]
    belows = [Below(folder) for folder in _folders(path, options)]
    found = ([below.find(_find(below, url)[0])[0] for url in urls] for below in belows)
    return bool(urls) and any(all(file is not None and is_image(file) for file in files) for files in found)


def find_images(path: Path, rows: Sequence[Row], options: SourceOptions) -> tuple[list[Row], SourceOptions]:
    """Rows with paths below a folder in place of URLs, and options that name the folder.

    Args:
        path: of the export; images lie in its folder, in one of the folders there, or in options.images.
        rows: whose paths are URLs: /data/upload/1/0a1b2c3d-cat.jpg, /data/local-files/?d=pets/cat.jpg,
            s3://bucket/cat.jpg, https://host/cat.jpg. The longest end that is a file counts; the hash before an
            uploaded name need not be there.
        options: images counts here.
    Raises:
        DataError: files are not found, or two images are one file; the first 5 tasks are named.
    """
    if options.images and not options.images.is_dir():
        raise DataError(f"--images {options.images}: no such folder")
    folders = _folders(path, options)
    tried = [row.path for row in rows[:_TRIED]]
    root = next((folder for folder in folders if all(_find(Below(folder), url)[0] for url in tried)), folders[0])
    below = Below(root)
    placed: dict[str, Row] = {}
    problems: list[str] = []
    for row in rows:
        file, problem = _find(below, row.path)
        if file in placed:
            problem = f"is {file}, as {placed[file].path!r} of {placed[file].where} is"
        if problem:
            problems.append(f"{row.where}: {row.path!r}: {problem}")
        else:
            placed[file] = row
    if problems:
        raise DataError(
            f"{path}: {shorten(problems, _NAMED, separator='; ')}; exports of Label Studio hold no images, so put them "
            "beside the export, or name their folder with --images"
        )
    return [replace(row, path=file) for file, row in placed.items()], replace(options, images=root)


def _folders(path: Path, options: SourceOptions) -> list[Path]:
    """Where images may lie."""
    here = path.resolve().parent
    return [options.images] if options.images else [here, *folders_in(here)]


def _find(below: Below, url: str) -> tuple[str, str]:
    """(path below the folder, "") or ("", problem)."""
    parts = [part for part in _path(url).split("/") if part]
    if not parts or ".." in parts:
        return "", "no path of an image"
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    if uploaded := _HASH.match(parts[-1]):
        ends.append(parts[-1][uploaded.end() :])
    for end in ends:
        if below.find(end)[0] is not None:
            return end, ""
    return "", f"no such file in {below.root.name}"


def _path(url: str) -> str:
    if "/local-files/?" in url:
        url = url.partition("?d=")[2].partition("&")[0]
    elif "://" in url:
        url = urlsplit(url).path
    path = unquote(url).replace("\\", "/").lstrip("/")
    return path.removeprefix(_UPLOAD)
