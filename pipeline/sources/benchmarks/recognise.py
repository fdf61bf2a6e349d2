"""A folder compared with the layouts of a benchmark: which layout it has, and how it differs from the paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.layout import class_folder
from pipeline.data.listing import entries
from pipeline.errors import DataError
from pipeline.images import is_image
from pipeline.phrases import counted, shorten
from pipeline.sources.benchmarks.catalogue import Benchmark, Layout, benchmark
from pipeline.sources.entry import Entry, Source
from pipeline.sources.tree import Kind, inside, scan_flat

_NAMED = 5  # classes or folders that a message names


@dataclass(frozen=True)
class _Leaf:
    """One folder of images and what its place says."""

    folder: Path
    shown: str  # relative to the root
    prefix: str  # of targets: domain/class or open_sets/pool/class
    label: str  # domain/class, for counts
    part: str
    tag: str = ""  # before file names, where several parts of a class come together


@dataclass
class _Match:
    facts: Benchmark
    layout: Layout
    at: str
    leaves: list[_Leaf] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # folders that are neither domain, part nor class


def benchmark_source(path: Path, name: str, *, open_set: str = "") -> Source:
    """A benchmark's folder, whichever of its layouts it has.

    Args:
        path: the folder that was downloaded or unpacked, or one above it that a layout begins at.
        name: of the benchmark.
        open_set: the name of the pool of an open set; the benchmark's name by default.
    Returns:
        A source whose notes give the layout and the known traps, and whose warnings give what differs from the
        published counts (many people have subsets).
    Raises:
        DataError: there is no such folder, or no layout fits (the error says where to get the benchmark and which
            layouts are expected); a class folder is not one of the benchmark's; a link leaves the folder.
        ParamsError: the benchmark is not known.
    """
    facts = benchmark(name)
    pool = (open_set or name) if facts.role == "open_set" or open_set else ""
    if not path.is_dir():
        raise DataError(f"{path}: no such folder; {how_to_get(name)}")
    root = path.resolve()
    match = _find(root, facts, pool, companion=False)
    if match is None:
        _refuse_flat_imagenet(path, root, facts)
        raise DataError(f"{path}: no known layout of {facts.title}; {how_to_get(name)}")
    matches, notes, warnings = [match], list[str](), list[str]()
    for other in facts.companions:
        companion = _find(root, benchmark(other), pool, companion=True)
        if companion is None:
            notes.append(f"{benchmark(other).title} is not in this folder; {how_to_get(other)}")
        else:
            matches.append(companion)
    ignored: dict[str, str] = {}
    for match in matches:
        title, layout = match.facts.title, match.layout
        notes.append(f"{title}: {layout.path or 'images alone'} below {match.at} ({layout.cite})")
        _count(root, match, warnings)
        ignored |= match.facts.left_aside
        if match.skipped:
            notes.append(f"folders skipped: {shorten(match.skipped, _NAMED)}")
        notes += [f"known trap: {trap}" for trap in match.facts.traps]
    if ignored:
        notes.append(f"skipped if present: {', '.join(f'{image} ({why})' for image, why in ignored.items())}")
    leaves = sorted((leaf for match in matches for leaf in match.leaves), key=lambda leaf: (leaf.prefix, leaf.shown))
    classes = {leaf.prefix.split("/")[-1] for leaf in leaves} if not pool else set()
    source = Source(
        path,
        "benchmark",
        lambda: _walk(source, root, leaves, ignored),
        notes=notes,
        warnings=warnings,
        class_names=_class_names(facts, classes),
    )
    return source


def how_to_get(name: str) -> str:
    """Where to get a benchmark and which layouts are expected, for an error: nothing is ever downloaded."""
    facts = benchmark(name)
    layouts = []
    for layout in facts.layouts:
        steps = [_example(step, facts, layout) for step in layout.steps]
        begins = ", ".join(at for at in layout.at if at != ".")
        layouts.append(
            f"{'/'.join([*steps, '*.jpg'])} (below the folder given{f', or below {begins}' if begins else ''})"
        )
    return f"get {facts.title} from {' or '.join(facts.get)}; expected {' or '.join(dict.fromkeys(layouts))}"


def _example(step: str, facts: Benchmark, layout: Layout) -> str:
    if step == "{domain}":
        return (
            f"{{{','.join(domain.folders[0] if domain.folders else name for name, domain in facts.domains.items())}}}"
        )
    if step == "{part}":
        return f"{{{','.join(layout.parts)}}}"
    return {"wnid": "n01440764", "index": "0 .. 999"}.get(layout.names, next(iter(facts.classes), "<class>"))


def _find(root: Path, facts: Benchmark, pool: str, *, companion: bool) -> _Match | None:
    """The first layout, in the catalogue's order, that has folders of images; of its beginnings the one with most."""
    for layout in facts.layouts:
        best: _Match | None = None
        for at in layout.at:
            if companion and at in (".", "images"):
                continue  # what lies there is the benchmark that was asked for
            start = root / at
            if not start.is_dir() or not start.resolve().is_relative_to(root):
                continue
            match = _Match(facts, layout, at)
            _descend(root, start, layout.steps, match, {}, pool)
            if match.leaves and (best is None or len(match.leaves) > len(best.leaves)):
                best = match
        if best is not None:
            return best
    return None


def _descend(root: Path, folder: Path, steps: tuple[str, ...], match: _Match, place: dict[str, str], pool: str) -> None:
    if not steps:
        if _has_image(folder):
            match.leaves.append(_leaf(root, folder, match.layout, place, pool))
        return
    facts, names = match.facts, _known(steps[0], match.facts, match.layout)
    for entry in entries(folder):
        if not entry.is_dir():
            continue
        name = entry.name if names is None else names.get(entry.name.casefold())
        if steps[0] == "{class}" and entry.name in facts.ignored:
            match.skipped.append(f"{entry.name} ({facts.ignored[entry.name]})")
        elif name is None:
            if steps[0] == "{class}" and _has_image(Path(entry.path)):
                raise DataError(
                    f"{entry.path}: not a class of {facts.title}, whose classes are "
                    f"{shorten(list(names or []), _NAMED)}; rename the folder, or add it as a plain folder"
                )
            match.skipped.append(entry.name)
        else:
            here = {**place, steps[0]: name, f"{steps[0]} folder": entry.name}
            _descend(root, inside(root, entry), steps[1:], match, here, pool)


def _known(step: str, facts: Benchmark, layout: Layout) -> Mapping[str, str] | None:
    """Folder name in lower case to what it stands for; None where any name is accepted."""
    if step == "{domain}":
        return {alias.casefold(): name for name, d in facts.domains.items() for alias in (name, *d.folders)}
    if step == "{part}":
        return {name.casefold(): name for name in layout.parts}
    if layout.names:
        from pipeline.sources.benchmarks.imagenet import folders

        return folders(layout.names)
    if facts.classes:
        return {alias.casefold(): name for name, aliases in facts.classes.items() for alias in (name, *aliases)}
    return None


def _leaf(root: Path, folder: Path, layout: Layout, place: Mapping[str, str], pool: str) -> _Leaf:
    class_ = place.get("{class}", pool)
    domain = place.get("{domain}", layout.domain)
    part = layout.parts[place["{part}"]] if layout.parts else layout.part
    return _Leaf(
        folder=folder,
        shown=folder.relative_to(root).as_posix(),
        prefix=class_folder(class_, domain=domain, pool=pool),
        label=f"{domain}/{class_}",
        part="" if pool else part,
        tag=f"{place['{part} folder']}-" if len(layout.parts) > 1 and not layout.names else "",
    )


def _has_image(folder: Path) -> bool:
    return any(is_image(Path(entry.path)) for entry in entries(folder) if not entry.is_dir())


def _walk(source: Source, root: Path, leaves: list[_Leaf], ignored: Mapping[str, str]) -> Iterator[Entry]:
    for leaf in leaves:
        for item in scan_flat(root, leaf.folder):
            target = f"{leaf.prefix}/{leaf.tag}{item.name}"
            if item.kind is not Kind.IMAGE:
                source.left_out.add(item.kind.value, item.relative)
            elif target in ignored:
                source.left_out.add(f"known to be wrong ({ignored[target]})", item.relative)
            else:
                yield Entry(target, f"{source.path / leaf.shown / item.name}", file=item.path, part=leaf.part)


def _count(root: Path, match: _Match, warnings: list[str]) -> None:
    """Compare with the catalogue; a difference is a warning, because many people have subsets."""
    facts = match.facts
    images: dict[str, int] = {}
    classes: dict[str, set[str]] = {}
    for leaf in match.leaves:
        domain, class_ = leaf.label.split("/")
        images[domain] = images.get(domain, 0) + sum(item.kind is Kind.IMAGE for item in scan_flat(root, leaf.folder))
        classes.setdefault(domain, set()).add(class_)
    for name, expected in facts.domains.items():
        if name not in images:
            warnings.append(f"{facts.title}: no domain {name}")
        elif expected.images and images[name] != expected.images:
            warnings.append(f"{facts.title}: {name}: {images[name]:,} of {counted(expected.images, 'published image')}")
    total = sum(images.values())
    if facts.images and total != facts.images:
        warnings.append(f"{facts.title}: {total:,} of {counted(facts.images, 'published image')}")
    if not facts.expected_classes or not match.layout.steps:
        return
    for name, present in classes.items():
        where = f"{facts.title}{f': {name}' if name else ''}"
        missing = [class_ for class_ in facts.classes if class_ not in present]
        if missing:
            warnings.append(f"{where}: no images of {shorten(missing, _NAMED)}")
        elif len(present) != facts.expected_classes:
            warnings.append(f"{where}: {len(present)} of {facts.expected_classes} published classes")


def _class_names(facts: Benchmark, classes: set[str]) -> dict[str, str]:
    if any(layout.names for layout in facts.layouts):
        from pipeline.sources.benchmarks.imagenet import folder_name, prompt_names

        called = {folder_name(name): name for name in prompt_names().values()}
    else:
        called = {name: facts.prompt_name(name) for name in classes}
    return {name: called[name] for name in sorted(classes) if called.get(name, name) != name}


def _refuse_flat_imagenet(path: Path, root: Path, facts: Benchmark) -> None:
    for layout in facts.layouts:
        for folder in (root / at / part for at in layout.at for part in layout.parts if layout.names == "wnid"):
            if folder.is_dir() and _has_image(folder):
                raise DataError(
                    f"{path}: {folder.relative_to(root)} holds images without class folders, as ILSVRC2012_img_val.tar "
                    "unpacks them; sort them into folders by wnid first (the script valprep.sh does that)"
                )
