"""Which kind of source a path is."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.listing import is_hidden
from pipeline.errors import DataError, ParamsError
from pipeline.sources.entry import Source, check_name

KINDS = ("folder", "listing", "split-file", "label-file", "shards", "benchmark")
_SUFFIXES = {
    ".csv": "listing",
    ".tsv": "listing",
    ".parquet": "listing",
    ".json": "split-file",
    ".txt": "label-file",
    ".tar": "shards",
    ".gz": "shards",
    ".tgz": "shards",
}


def open_source(
    path: Path,
    *,
    kind: str = "auto",
    name: str = "",
    domain: str | None = None,
    open_set: str | None = None,
    images: Path | None = None,
    benchmark: str | None = None,
) -> Source:
    """Understand what a path holds; nothing is copied and no image is decoded.

    Args:
        path: a folder, a .csv, .tsv or .parquet listing, a .json or .txt split file, or .tar shards.
        kind: one of KINDS, a benchmark's name, or `auto`: told by the path's suffix and, for a folder, its depth.
        name: what the data set is to be called; the domain's name where the source has none.
        domain: the domain of all images, for a source without domains.
        open_set: puts all images below open_sets/<open_set>/, as candidate unknowns.
        images: the folder that a listing's or split file's paths are relative to, where it is not found beside it.
        benchmark: a name of the catalogue (pipeline/sources/benchmarks): the folder must have one of its layouts.
    Returns:
        A source; its entries lie in the workspace's layout.
    Raises:
        DataError: nothing is there, it is of no known kind or layout, or something in it is refused by name.
        ParamsError: arguments that contradict each other or the source.
    """
    from pipeline.sources.benchmarks import names as benchmark_names

    if kind not in ("auto", *KINDS, *benchmark_names()):
        raise ParamsError(f"kind: {kind!r} is none of auto, {', '.join([*KINDS, *benchmark_names()])}")
    if domain and open_set:
        raise ParamsError(f"an image of the open set {open_set!r} lies in no domain; give one of the two")
    for value, what in ((domain, "domain"), (open_set, "open set")):
        if value is not None:
            check_name(value, what)
    if kind in benchmark_names():
        benchmark, kind = benchmark or kind, "benchmark"
    if benchmark or kind == "benchmark":
        if not benchmark:
            raise ParamsError("kind: benchmark needs the benchmark's name")
        if kind not in ("auto", "benchmark") or domain or images:
            raise ParamsError(
                f"benchmark: {benchmark!r} has layouts of its own; no kind, domain or folder of images goes with it"
            )
        from pipeline.sources.benchmarks import benchmark_source

        return benchmark_source(path, benchmark, open_set=open_set)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if kind == "auto":
        kind = _kind_of(path)
    if kind in ("folder", "shards") and images:
        raise ParamsError(f"{path}: holds its images, so no other folder of images can be given")
    if kind != "shards" and path.is_dir() != (kind == "folder"):
        raise DataError(f"{path}: a {'folder' if path.is_dir() else 'file'}, and no {kind}")
    if kind == "folder":
        from pipeline.sources.folder import folder_source

        return folder_source(path, name=name, domain=domain, open_set=open_set)
    if kind == "shards":
        from pipeline.sources.shards import shards_source

        return shards_source(path, name=name, domain=domain, open_set=open_set)
    if kind == "listing":
        from pipeline.sources.listing import listing_source

        return listing_source(path, name=name, domain=domain, open_set=open_set, images=images)
    from pipeline.sources.splits import label_file_source, split_file_source

    reader = split_file_source if kind == "split-file" else label_file_source
    return reader(path, name=name, domain=domain, open_set=open_set, images=images)


def _kind_of(path: Path) -> str:
    from pipeline.sources.tars import is_shard

    if path.is_dir():
        visible = [entry for entry in path.iterdir() if not is_hidden(entry.name)]
        return "shards" if any(map(is_shard, visible)) and not any(e.is_dir() for e in visible) else "folder"
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None or (kind == "shards" and not is_shard(path)):
        raise DataError(f"{path}: no kind of source that is known; expected a folder, {', '.join(_SUFFIXES)}")
    return kind
