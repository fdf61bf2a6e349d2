"""A user's own folder, or another source: what it holds, and the settings that follow."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.cli.presets.class_names import ClassNames, propose
from pipeline.cli.presets.files import Preset, read_preset
from pipeline.cli.presets.held import limits, read_images
from pipeline.cli.presets.spelling import spell
from pipeline.data.catch_all import UNKNOWN, is_catch_all, says_unknown
from pipeline.errors import DataError
from pipeline.params import PARAMS_FILE
from pipeline.phrases import counted, shorten
from pipeline.sources import SourceOptions
from pipeline.sources.archives import archive_stem, is_archive
from pipeline.versioning.names import FOLDER, check_plain

_ENOUGH = 4  # classes of one domain, of which some can take turns at being unknown
_RATE = 0.02
_RATE_FROM = "by validation on CLIP ViT-B/32 features (docs/real-data.md); 0.002 in the authors' code"
_SHARE = 0.3
_NAMED = 10  # classes that a note names


def folder_preset(path: Path, name: str = "", options: SourceOptions | None = None) -> Preset:
    """Settings for images like photographs: those of `released`, with shots that the smallest class has.

    Args:
        path: domain/class/image or class/image, with or without parts, or another source; nothing is copied.
        name: of the data set; that of the folder or file by default.
        options: how to read it.
    Raises:
        DataError: nothing is there, or no source; fewer than two classes; a class with one image; or a folder of
            classes where a data set is expected.
        ParamsError: the name is not a plain name, or the options contradict the source.
    """
    options = options or SourceOptions()
    name = name or re.sub(r"[^A-Za-z0-9_.-]+", "-", _called(path.resolve())).strip("-._").lower()
    check_plain(name, "--name")
    in_place = path.is_dir() and path.resolve().parent == FOLDER.resolve()  # a data set of this workspace
    held = read_images(path, name, options, in_place=in_place)
    counts, warnings = held.images, list[str]()
    names, classes = sorted({domain for domain, _ in counts}), sorted({class_ for _, class_ in counts})
    released = read_preset("_released")
    values, origins = dict(released.values), dict(released.origins)
    values["finetune.lr"], origins["finetune.lr"] = _RATE, _RATE_FROM
    values["data.root"] = f"{FOLDER}/{path.resolve().name if in_place else name}"
    known, unknown = _known(path, classes, held.pools)
    values["data.unknown"] = unknown
    if unknown:
        origins["data.unknown"] = f"predictions say {UNKNOWN!r} of images of no known class"
    called = propose(known)
    values["backbone.class_names"] = dict(called.called)
    if called.coded:
        origins["backbone.class_names"] = "without the codes of the folders"
    warnings += _about_names(called, known, unknown)
    missing = [f"{d}/{c}" for d in names for c in classes if (d, c) not in counts]
    if missing:
        warnings.append(f"no images of {shorten(missing, 5)}")
    usable, trainable = limits(path, held, known)
    smallest, fewest = min(usable.items(), key=lambda item: (item[1], item[0]))
    shots, validation, most = values["split.shots"], values["split.validation"], min(trainable.values())
    if fewest < shots + validation or most < shots:
        purpose = " for training and validation" if held.usable != counts else ""
        where = f"{'/'.join(smallest)} holds {counted(fewest, 'image')}{purpose}, the fewest"
        validation = max(1, min(validation, fewest // 3))
        shots = max(1, min(shots, fewest - validation, most))
        values |= {"split.shots": shots, "split.validation": validation}
        origins |= {"split.shots": where, "split.validation": where}
        warnings.append(f"{where}: shots {shots}, validation {validation}")
    if len(names) == 1:
        warnings.append(f"one domain only ({names[0]}): accuracy on an unseen domain cannot be measured")
        if len(known) >= _ENOUGH and not held.pools and not unknown:
            values["split.unknown_share"] = _SHARE
            origins["split.unknown_share"] = "no domain can be held out, so classes are"
    elif not held.pools and not unknown:
        warnings.append("no class is unknown: to measure 'unknown', name some in data.unknown or add an open set")
    images = counted(sum(counts.values()), "image")
    spread = f"{counted(len(names), 'domain')} ({shorten(names, 6)})"
    return replace(
        released,
        name="folder",
        title=f"{path}: {images}, {spread}, {counted(len(classes), 'class')}",
        values=values,
        origins=origins,
        path=None if in_place else path,
        options=tuple(options.typed),
        report=held.report,
        warnings=tuple(warnings),
    )


def _called(path: Path) -> str:
    """A folder's name, or a file's without its ending."""
    return path.name if path.is_dir() else archive_stem(path) if is_archive(path) else path.stem


def _known(path: Path, classes: Sequence[str], pools: Collection[str]) -> tuple[list[str], list[str]]:
    """The classes that can be known, and those that cannot because of their name."""
    unknown = [name for name in classes if says_unknown(name)]
    known = [name for name in classes if name not in unknown]
    if len(known) < 2:
        held = f"{counted(len(known), 'class')} ({', '.join(known)})" if known else "no class"
        beside = [*unknown, *(f"open set {pool}" for pool in sorted(pools))]
        more = f" beside {', '.join(beside)}" if beside else ""
        raise DataError(f"{path}: holds {held}{more}; at least 2 are needed, so add images of more classes")
    return known, unknown


def _about_names(names: ClassNames, known: Sequence[str], unknown: Sequence[str]) -> list[str]:
    """What a person should look at before prompts and predictions use these names."""
    where = f"backbone.class_names in {PARAMS_FILE}"
    notes = []
    if names.coded:
        named = shorten([f"{name}: {names.called[name]}" for name in names.coded], _NAMED, separator="; ")
        notes.append(f"prompts leave out the codes of the folders ({where}): {named}")
    if names.bare:
        named = shorten(names.bare, _NAMED)
        notes.append(f"numbers and codes mean nothing in a prompt; write what these classes show ({where}): {named}")
    if unknown:
        notes.append(
            f"{', '.join(unknown)}: taken as unknown (data.unknown in {PARAMS_FILE}), so never trained on, and "
            "measures how well unknown images are recognised; if it is a class to predict, rename its folders, since "
            f"{UNKNOWN!r} is what predictions say of an image of no known class"
        )
    catch_all = [name for name in known if is_catch_all(names.called.get(name, name))]
    if catch_all:
        notes.append(
            f"{', '.join(catch_all)}: is this whatever belongs to no other class? If so, set data.unknown: "
            f"{spell([*unknown, *catch_all])}; if not, write what it shows ({where})"
        )
    return notes
