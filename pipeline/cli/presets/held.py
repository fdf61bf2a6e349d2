"""What a user's folder holds: images by domain and class, and what they may be used for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.data.listing import list_images
from pipeline.data.parts import are_domains
from pipeline.errors import DataError
from pipeline.phrases import counted
from pipeline.sources import SourceOptions, open_source, report
from pipeline.sources.entry import check_target
from pipeline.versioning.names import FOLDER

Counts = Counter[tuple[str, str]]
"""Images by domain and class."""


@dataclass
class Held:
    """What was counted.

    Attributes:
        images: all images of the domains.
        usable: those that may train or validate.
        trainable: those that may train.
        pools: the open sets.
        report: how the folder was read, a line each.
    """

    images: Counts = field(default_factory=Counter)
    usable: Counts = field(default_factory=Counter)
    trainable: Counts = field(default_factory=Counter)
    pools: set[str] = field(default_factory=set)
    report: tuple[str, ...] = ()


def read_images(path: Path, name: str, options: SourceOptions, *, in_place: bool) -> Held:
    """Count the images of a folder or another source.

    Args:
        path: of the source.
        name: of the data set.
        options: how to read it.
        in_place: it lies where data sets do, and must have their layout.
    Raises:
        DataError: it is refused as a source, or is no data set where one is expected.
        ParamsError: the options contradict it.
    """
    known = in_place and are_domains(path.resolve())
    source = open_source(path, replace(options, domains=options.domains or known), name=name)
    held = Held()
    for entry in source:
        if in_place and entry.file != (path.resolve() / entry.target).resolve():
            other = (
                "take its folders as domains (--domains)" if entry.part else "put its classes into a domain's folder"
            )
            raise DataError(
                f"{path}: a data set in {FOLDER}/ is domain/class/image; add it under another name "
                f"(`croft data add {path} --name NEW`), or {other}"
            )
        place = check_target(entry)
        if place.pool:
            held.pools.add(place.pool)
            continue
        held.images[place.domain, place.class_] += 1
        held.usable[place.domain, place.class_] += entry.part != "test"
        held.trainable[place.domain, place.class_] += entry.part in ("", "train")
    source.check_decoders()
    if in_place and held.images:
        list_images(path)  # refuses what a run would refuse
    held.report = tuple(report(source))
    return held


def limits(path: Path, held: Held, known: Collection[str]) -> tuple[Counts, Counts]:
    """(usable, trainable) images of the known classes, in the domains that are not for testing alone.

    Raises:
        DataError: a known class of such a domain has too few of them, or there is no such domain.
    """
    for (domain, class_), count in sorted(held.images.items()):
        if class_ in known and count < 2:
            raise DataError(f"{path}: {domain}/{class_} holds 1 image; training and validation need 2")
    trained = {domain for (domain, class_), count in held.trainable.items() if count and class_ in known}
    if not trained:
        raise DataError(f"{path}: no image may train: none is in the part train, or in no part; add some")
    places = [place for place in sorted(held.images) if place[0] in trained and place[1] in known]
    for domain, class_ in places:
        count, usable = held.trainable[domain, class_], held.usable[domain, class_]
        if not count or usable < 2:
            raise DataError(
                f"{path}: {domain}/{class_} has {counted(count, 'image')} to train on and "
                f"{counted(usable - count, 'image')} more to validate on; at least 1 and 2 in all are needed"
            )
    return Counter({p: held.usable[p] for p in places}), Counter({p: held.trainable[p] for p in places})
