"""What the folders above an image mean: which of them is its class, its domain and its part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.layout import POOLS_LAYOUT, class_folder, printable
from pipeline.data.parts import is_part, plain_part
from pipeline.errors import DataError, ParamsError
from pipeline.phrases import shorten
from pipeline.sources.options import SourceOptions
from pipeline.sources.tree import Folders
from pipeline.tables import OPEN_SETS, PARTS

LAYOUTS = "expected domain/class/image or class/image"
_NAMED = 4  # folders that a message names


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the images of one folder go.

    Attributes:
        folder: domain/class or open_sets/pool/class.
        tag: comes before file names: the name of the folder that is a part, since several parts have files of one name.
        part: one of PARTS, or "".
    """

    folder: str
    tag: str = ""
    part: str = ""


@dataclass(frozen=True)
class Levels:
    """Where the images of every folder go.

    Attributes:
        spots: by folder.
        depth: 2 for domain/class/image, 1 for class/image, 0 for images alone.
        notes: what was understood, a sentence each.
    """

    spots: Mapping[Folders, Spot]
    depth: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Split:
    """The names of a folder's path, with the one that is its part taken out."""

    rest: Folders
    part: str = ""
    tag: str = ""  # the folder that is the part
    above: int = 0  # names of `rest` that lie above it


def read_levels(path: Path, firsts: Mapping[Folders, str], options: SourceOptions, name: str) -> Levels:
    """Understand folders of images by their names and depths alone.

    A folder above the classes that is called as a part is that part, unless `options.domains` takes it as a domain.
    Folders above the layout do not count if they are the same for all images.

    Args:
        path: what was opened, for messages.
        firsts: each folder that holds images, and the name of one of them; not empty.
        options: domain, domains and open_set count here.
        name: the domain, where neither the folders nor the options name one.
    Raises:
        DataError: images lie at several depths, too deep, or in no folders of classes; or only some folders of a level
            are called as parts.
        ParamsError: --domain, where the folders name several domains; or no domain is known.
    """
    root, pools = _pools(path, firsts, options)
    spots = {folders: Spot("/".join(folders[root:])) for folders in pools}
    splits = {folders: _split(path, folders[root:], options) for folders in firsts if folders not in pools}
    if not splits:
        return Levels(spots, 2, (f"{path}: {POOLS_LAYOUT}{_below(next(iter(pools))[:root])}",))
    _check_depths(path, splits, firsts, options)
    splits = _flat_parts(path, splits, options)
    depth, outer = _depth(path, splits, firsts, options)
    domain = "" if depth == 2 or options.open_set else options.domain or name
    if not (depth == 2 or domain or options.open_set):
        raise ParamsError(f"{path}: holds class/image; name its domain with --domain")
    pool = options.open_set
    for folders, split in splits.items():
        class_ = split.rest[-1] if depth else pool
        folder = class_folder(class_, domain=split.rest[-2] if depth == 2 else domain, pool=pool)
        spots[folders] = Spot(folder, f"{split.tag}-" if split.tag else "", "" if pool else split.part)
    outer = (*next(iter(splits))[:root], *outer)
    shape = ("images without class folders", "class/image", "domain/class/image")[depth]
    taken = f", taken as the domain {domain!r}" if domain else ""
    if pool:
        taken = f", taken as {'' if depth else f'the class {pool!r} of '}the open set {pool!r}"
    notes = (f"{path}: {shape}{_below(outer)}{taken}", *_part_notes(splits.values(), depth, pool))
    return Levels(spots, depth, notes)


def _pools(path: Path, firsts: Mapping[Folders, str], options: SourceOptions) -> tuple[int, set[Folders]]:
    """(levels above open_sets/, the folders in it), where there is an open_sets/ beside or without domains."""
    common = _common([folders[:-1] for folders in firsts])
    root = common.index(OPEN_SETS) if OPEN_SETS in common else len(common)
    pools = {folders for folders in firsts if len(folders) > root and folders[root] == OPEN_SETS}
    if pools and options.open_set:
        raise DataError(f"{path}: holds {OPEN_SETS}/ already; remove --open-set, or add the folder of one pool")
    for folders in sorted(pools):
        if len(folders) != root + 3:
            raise DataError(f"{_shown(path, folders, firsts)}: expected {POOLS_LAYOUT}")
    return (root, pools) if pools else (0, pools)


def _split(path: Path, folders: Folders, options: SourceOptions) -> _Split:
    """Take out the part; the class is none, whatever it is called (a train is a vehicle too)."""
    at = [] if options.domains else [index for index, name in enumerate(folders[:-1]) if is_part(name)]
    if not at:
        return _Split(folders)
    parts = {plain_part(folders[index]) for index in at}
    if len(parts) > 1 or at[-1] - at[0] != len(at) - 1:  # train/train/ is what some archives unpack to
        raise DataError(
            f"{path}: {'/'.join(map(printable, folders))} is below {_listed([folders[index] for index in at])}, which "
            "are both parts; rename one of them, or take them as other folders with --domains"
        )
    return _Split((*folders[: at[0]], *folders[at[-1] + 1 :]), parts.pop(), folders[at[-1]], at[0])


def _check_depths(
    path: Path, splits: Mapping[Folders, _Split], firsts: Mapping[Folders, str], options: SourceOptions
) -> None:
    depths = Counter(len(split.rest) for split in splits.values())
    if len(depths) == 1:
        return
    given = [folders for folders, split in splits.items() if split.tag]
    free = [folders for folders, split in splits.items() if not split.tag]
    if given and free and len({len(folders) for folders in splits}) == 1:  # one depth, but for the parts
        parts = _in_order({splits[folders].tag for folders in given})
        raise DataError(
            f"{path}: {_listed(parts)} {'has the name of a part' if len(parts) == 1 else 'have the names of parts'}, "
            f"and folders beside do not ({_shown(path, given[0], firsts)} and {_shown(path, free[0], firsts)}); "
            "take all of them as domains with --domains, or give each domain folders for its parts (photo/train/class)"
        )
    usual = max(depths, key=lambda depth: (depths[depth], depth))
    odd = min(folders for folders, split in splits.items() if len(split.rest) != usual)
    if any(folders[: len(odd)] == odd for folders in splits if folders != odd):
        raise DataError(f"{_shown(path, odd, firsts)}: an image beside folders; {LAYOUTS}, all at one depth")
    inside = next((odd[:end] for end in range(len(odd)) if odd[:end] in splits), None)
    if inside is not None:
        folder = path.joinpath(*odd[: len(inside) + 1])
        raise DataError(f"{printable(str(folder))}: a folder among images; {LAYOUTS}, all at one depth")
    even = min(folders for folders, split in splits.items() if len(split.rest) == usual)
    raise DataError(
        f"{path}: images at several depths, such as {_shown(path, even, firsts)} and {_shown(path, odd, firsts)}; "
        f"{LAYOUTS}, all at one depth"
    )


def _flat_parts(path: Path, splits: Mapping[Folders, _Split], options: SourceOptions) -> dict[Folders, _Split]:
    """Refuse parts that hold images and no classes; in an open set they are images alone."""
    classes = {split.rest[-1] for split in splits.values() if split.rest}
    if options.domains or not classes or not all(map(is_part, classes)):
        return dict(splits)
    if not options.open_set:
        raise DataError(
            f"{path}: {_listed(_in_order(classes))} {'holds' if len(classes) == 1 else 'hold'} images without class "
            f"folders; expected {_in_order(classes)[0]}/class/image, or a listing that names the class of each image; "
            "--domains takes folders of these names as classes"
        )
    return {f: _Split(s.rest[:-1], plain_part(s.rest[-1]), s.rest[-1]) for f, s in splits.items()}


def _depth(
    path: Path, splits: Mapping[Folders, _Split], firsts: Mapping[Folders, str], options: SourceOptions
) -> tuple[int, Folders]:
    """(2 for domain/class/image, 1 for class/image, 0 for images alone; the folders above that, the same for all)."""
    rests = [split.rest for split in splits.values()]
    deep = len(rests[0])
    if not deep:
        if not options.open_set:
            raise DataError(f"{path}: images without class folders; {LAYOUTS}, or add them as an open set (--open-set)")
        return 0, ()
    common = _common([rest[:-1] for rest in rests])
    if len(common) == deep - 1:  # one folder holds all classes
        # a folder that only holds train/ and test/ keeps them together; what lies in them, or beside, is a domain
        between = any(not split.tag or split.above < deep - 1 for split in splits.values())
        named = deep > 1 and between and not (options.domain or options.open_set)
        return (2, common[:-1]) if named else (1, common)
    if options.open_set:
        raise DataError(f"{path}: holds domain/class/image; an open set is class/image, so give one domain's folder")
    if options.domain:
        raise ParamsError(f"--domain {options.domain}: {path} holds domain/class/image already; remove --domain")
    if len(common) < deep - 2:
        first = next(iter(splits))
        raise DataError(
            f"{path}: no folders of domains and classes: images lie {deep} folders down, such as "
            f"{_shown(path, first, firsts)}; {LAYOUTS}, so add a folder further down"
        )
    return 2, common


def _common(paths: Collection[Folders]) -> Folders:
    """The names that all paths begin with."""
    first, last = min(paths), max(paths)
    count = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:count]


def _part_notes(splits: Collection[_Split], depth: int, pool: str) -> list[str]:
    names = _in_order({split.tag for split in splits if split.tag})
    if not names:
        return []
    meant = [name if name == plain_part(name) else f"{name} ({plain_part(name)})" for name in names]
    forced = "classes" if not depth else "domains" if depth == 1 and not pool else ""
    other = f"; --domains takes them as {forced}" if forced else ""
    said = "is a part, not a domain" if len(names) == 1 else "are parts, not domains"
    return [f"{_listed(meant)} {said}; files are named after them{other}"]


def _in_order(names: Collection[str]) -> list[str]:
    return sorted(names, key=lambda name: (PARTS.index(plain_part(name)), name))


def _below(outer: Folders) -> str:
    return f" below {printable('/'.join(outer))}/" if outer else ""


def _shown(path: Path, folders: Folders, firsts: Mapping[Folders, str]) -> str:
    return printable(str(path.joinpath(*folders, firsts[folders])))


def _listed(names: list[str]) -> str:
    """ "a, b and c", cut short after a few."""
    shown = [printable(name) for name in names]
    if len(shown) > _NAMED or len(shown) < 2:
        return shorten(shown, _NAMED)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
