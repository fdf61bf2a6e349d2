"""`croft data`: images into the workspace as versions of a data set, and what those versions held."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import telemetry
from pipeline.console import make_console, say
from pipeline.errors import DataError, ParamsError, PipelineError
from pipeline.params import load_params
from pipeline.phrases import counted
from pipeline.versioning.names import FOLDER, check_name, parse_reference

if TYPE_CHECKING:
    from pipeline.flows.forms import OnBadImage
    from pipeline.sources import SourceOptions

ROOT = Path()


def add_data(
    path: Path, name: str, options: SourceOptions, *, link: bool, prune: bool, on_bad_image: OnBadImage
) -> None:
    """Run the version-data flow in the working directory; it prints what it did.

    Args:
        path: of the source.
        name: of the data set.
        options: how the source is to be read.
        link, prune, on_bad_image: as `pipeline.versioning.adding.Addition`.
    Raises:
        CroftError: nothing was added; or the version was added, but pushing or recording it failed.
    """
    check_name(name)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    load_params()
    from pipeline.cli.run import await_api, begin_flow

    api = begin_flow(Path.cwd())
    from pipeline.flows.start import start
    from pipeline.flows.version_data import version_data
    from pipeline.tracking.client import connect

    connect(Path.cwd())
    await_api(api)
    values = dataclasses.asdict(options) | {"images": str(options.images or "")}
    place = str(Path.cwd())
    start(version_data, api, str(path), name, place, **values, link=link, prune=prune, on_bad_image=on_bad_image)


def list_data(*, remote: bool) -> None:
    """Print every data set: its version, what it holds, and where its files are.

    Raises:
        PipelineError: this is not a DVC project; or `remote` and there is no default remote, or it cannot be reached.
    """
    telemetry.disable()
    used = load_params().data.root
    from pipeline.dvc_runner.cache import open_cache
    from pipeline.versioning.overview import overview
    from pipeline.versioning.resolve import data_sets
    from pipeline.versioning.show import print_overview

    console, names, cache = make_console(), data_sets(ROOT), open_cache(ROOT)
    lacking: dict[Path, bool] = {}
    if remote:
        if not cache.remote:
            raise PipelineError("--remote: DVC has no default remote; set one with `dvc remote add -d NAME URL`")
        from pipeline.dvc_runner.tracked import unpushed

        lacking = unpushed(ROOT, [FOLDER / name for name in names])
    rows = [overview(ROOT, name, cache, used=used, lacks=lacking.get(FOLDER / name)) for name in names]
    if rows:
        print_overview(rows, console)
    else:
        say("No data set is under DVC yet; add one with `croft data add PATH --name NAME`", console)
    if used not in [f"{FOLDER.as_posix()}/{name}" for name in names]:
        say(f"params.yaml uses {used}", console)


def show_data(text: str) -> None:
    """Print what a version holds, and all versions of its data set.

    Raises:
        DataError: there is no such version, or its listing is not in DVC's cache.
    """
    telemetry.disable()
    reference = parse_reference(text)
    from pipeline.dvc_runner.cache import open_cache
    from pipeline.versioning.contents import count
    from pipeline.versioning.history import read_history
    from pipeline.versioning.resolve import resolve
    from pipeline.versioning.show import print_counts, print_version, print_versions
    from pipeline.versioning.workspace import human

    console, snapshot = make_console(), resolve(ROOT, reference)
    versions = read_history(ROOT, reference.name)
    counts = count(snapshot.files(open_cache(ROOT)))
    if snapshot.number:
        print_version(reference.name, versions[snapshot.number - 1], counts, console)
    else:
        size = f"{counted(counts.images, 'image')}, {human(snapshot.pointer.bytes)}"
        say(f"{snapshot}: {size}; not recorded as a version by `croft data add`", console)
        print_counts(counts, console)
    if versions:
        print_versions(versions, snapshot.number, console)


def diff_data(old: str, new: str | None) -> None:
    """Print what changed between two versions; with one NAME its last two, with one NAME@VERSION up to the present.

    Raises:
        DataError: there is no such version, or a listing is not in DVC's cache.
    """
    telemetry.disable()
    first = parse_reference(old)
    from pipeline.dvc_runner.cache import open_cache
    from pipeline.versioning.difference import compare
    from pipeline.versioning.resolve import last_two, resolve
    from pipeline.versioning.show import headline, print_difference

    if new is None and not first.version:
        before, after = last_two(ROOT, first.name)
    else:
        second = parse_reference(new) if new else dataclasses.replace(first, version="")
        before, after = resolve(ROOT, first), resolve(ROOT, second)
    cache, console = open_cache(ROOT), make_console()
    difference = compare(before.files(cache), after.files(cache))
    say(f"{before} -> {after}: {headline(difference)}", console)
    print_difference(difference, console)


def use_data(text: str) -> None:
    """Make a version the one in the workspace: its .dvc file, then its files from DVC's cache or the remote.

    Raises:
        ParamsError: no version is named.
        DataError: there is no such version.
        PipelineError: the workspace holds changes that are in no version, or the files cannot be fetched.
    """
    telemetry.disable()
    reference = parse_reference(text)
    if not reference.version:
        raise ParamsError(f"{text}: expected NAME@<version number> or NAME@<git revision>")
    from pipeline.versioning.restoring import restore

    snapshot = restore(ROOT.resolve(), reference)
    folder = f"{FOLDER.as_posix()}/{reference.name}"
    say(f"{folder} is now {snapshot}; commit {folder}.dvc to keep it", make_console())
