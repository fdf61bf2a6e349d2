"""The steps by which a data set gets a new version; the version-data flow makes each of them a Prefect task."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pipeline.data.given import GIVEN, given_rows
from pipeline.data.listing import list_images
from pipeline.data.parts import are_domains
from pipeline.data.refused import problem_lines
from pipeline.dvc_runner import tracked
from pipeline.dvc_runner.cache import open_cache
from pipeline.dvc_runner.reproduce import reproduce
from pipeline.errors import DataError, ParamsError, PipelineError, TrackingError
from pipeline.origin import git_state
from pipeline.params import Data
from pipeline.phrases import counted, shorten
from pipeline.sources import Entry, Source, SourceOptions, open_source
from pipeline.versioning.contents import Files, count, hash_folder, image_place, listed
from pipeline.versioning.difference import Difference, compare, missing, moved_away
from pipeline.versioning.given import merge_given, write_given
from pipeline.versioning.history import Version, number_of, read_history, write_history
from pipeline.versioning.intake import NAMED, Intake, take_in
from pipeline.versioning.names import FOLDER, check_name
from pipeline.versioning.pointer import Pointer, read_pointer
from pipeline.versioning.recording import record_version
from pipeline.versioning.state import look
from pipeline.versioning.workspace import Placer, Workspace, can_clone, check_space


class Addition:
    """One `croft data add`. Call its `steps` within `locked`.

    Each step leaves what is under version control whole, so after a failure or a kill the whole addition can be
    repeated.

    Attributes:
        name: of the data set.
        source: what the path was understood as.
        before: the version that the workspace had; the latest where its state is no version.
        version: the version that it has now.
        is_new: whether this addition made that version.
        pushed: whether it is in the default remote.
        difference: from `before` to `version`; None where the listing of `before` is not in the cache.
        files: of the data set now.
        kept: images that the source no longer has, and that the data set keeps.
        bad: (target, problem, origin) of images that were left out.
        defects: "origin: defect" of images that were taken although their files are damaged.
        troubles: what failed after the version was safe; one sentence each.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        options: SourceOptions | None = None,
        *,
        root: Path,
        data: Data,
        link: bool = False,
        prune: bool = False,
        on_bad_image: str = "",
    ) -> None:
        """Args:
            path: the source, absolute or relative to root.
            name: of the data set.
            options: how the source is to be read; its folder of images is absolute or relative to root.
            root: the project.
            data: limits of images and number of threads; whether bad images stop everything.
            link: put clones or hard links of the source's files into the workspace first.
            prune: drop images that the source's domains and pools no longer have.
            on_bad_image: fail or skip; data.on_bad_image by default.
        Raises:
            ParamsError: the name or on_bad_image is not valid.
        """
        self.name, self.root = check_name(name), root.resolve()
        self.typed, self.path = str(path), self.root / path
        options = options or SourceOptions()
        if options.images:
            options = dataclasses.replace(options, images=self.root / options.images)
        self._options, self._data, self._prune, self._link = options, data, prune, link
        if on_bad_image not in ("", "fail", "skip"):
            raise ParamsError(f"--on-bad-image: expected fail or skip, found {on_bad_image!r}")
        self._skip = (on_bad_image or data.on_bad_image) == "skip"
        self._workspace = Workspace(self.root, name)
        self._terminal = sys.stderr.isatty()
        self.started = time.time()
        self.source: Source
        self.before: Version | None = None
        self.version: Version | None = None
        self.is_new = self.pushed = self._placed = False
        self.difference: Difference | None = None
        self.files: Files = {}
        self.kept: list[str] = []
        self.bad: list[tuple[str, str, str]] = []
        self.defects: list[str] = []
        self.troubles: list[str] = []

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Held around all steps; what a killed addition left behind is repaired at its beginning."""
        return self._workspace.locked()

    def steps(self) -> list[Callable[[], None]]:
        """The steps in their order."""
        return [self.inspect, self.check, self.place, self.commit, self.push, self.record]

    # 1 -----------------------------------------------------------------------------------------------------------
    def inspect(self) -> None:
        """Understand source and workspace, from names and sizes alone.

        Raises:
            DataError: the source has no known layout, or does not fit on the disk.
            ParamsError: the options contradict the source, or DVC links files out of the workspace.
            PipelineError: DVC refuses, or the data set is under DVC and its files are not available.
        """
        folder = self._workspace.folder
        self._in_place = self.path.resolve() == folder.resolve()
        if not self._in_place and _overlap(self.path.resolve(), folder.resolve()):
            raise ParamsError(
                f"{self.typed}: lies inside {FOLDER / self.name}, or contains it; add {FOLDER / self.name} itself"
            )
        self.cache = open_cache(self.root)
        if self.cache.link == "symlink":
            raise ParamsError(
                "DVC's cache.type is symlink: images would be links that leave the data set, which ingest refuses; run "
                "`dvc config cache.type reflink,hardlink,copy`"
            )
        known = read_pointer(self.root, self.name) is not None
        options = self._options
        if self._in_place and are_domains(folder):
            options = dataclasses.replace(options, domains=True)
        self.source = open_source(self.path, options, name=self.name)
        if known and not folder.exists():
            reproduce(self.root, f"{FOLDER.as_posix()}/{self.name}.dvc", changes="deleted")  # checks it out
        self._state = look(self.root, self.name, self.cache, workers=self._data.workers)
        self.before = self.version = self._state.version
        self._targets()

    def _targets(self) -> None:
        self._parts: dict[str, str] = {}  # by path; every image of the source is in both
        self._groups: dict[str, str] = {}
        size = 0
        folder = self._workspace.folder
        for entry in self.source:
            if self._in_place and entry.file != (folder / entry.target).resolve():
                hint = ", or take all folders as domains and classes with --domains" if entry.part else ""
                raise DataError(
                    f"{entry.origin}: not a data set's layout; add the folder under another --name, move the image to "
                    f"{entry.target}{hint}"
                )
            self._parts[entry.target], self._groups[entry.target] = entry.part, entry.group
            bytes_ = entry.file.stat().st_size if entry.file else len(entry.content or b"")
            if entry.target not in self._state.files or (folder / entry.target).stat().st_size != bytes_:
                size += bytes_
        if self._in_place and self.source.taken.domains:
            list_images(folder)  # refuses what a run would refuse, such as a class folder whose images were left out
        self._check_space(size)

    def _check_space(self, size: int) -> None:
        data, cache = self._workspace.folder.parent, self.cache.folder
        cache.mkdir(parents=True, exist_ok=True)
        shared = self.cache.link == "hardlink" or (self.cache.link == "reflink" and can_clone(data, cache))
        linked = self._in_place or (self._link and shared)
        check_space([(data, 0 if linked else size), (cache, 0 if shared else size)])

    # 2 -----------------------------------------------------------------------------------------------------------
    def check(self) -> None:
        """Read every image of the source once; the new ones are decoded and laid beside the data set.

        Raises:
            DataError: images are bad (the first 20 are named) and data.on_bad_image is fail, or none is left.
        """
        self.placer = Placer(link=self._link, cache_link=self.cache.link)
        if not self._in_place:
            self._workspace.begin()
        known = (self._state.before or {}) if self._in_place else self._state.files
        into = None if self._in_place else self._workspace.next
        self._intake = take_in(
            self.source, len(self._parts), known=known, into=into, placer=self.placer, data=self._data
        )
        if loose := self._loose():
            checked = take_in(loose, len(loose), known={}, into=None, placer=self.placer, data=self._data)
            self._intake.bad += checked.bad
        self.bad, self.defects = self._intake.bad, self._intake.defects
        if self.bad and not self._skip:
            raise DataError(
                f"{self.typed}: {counted(len(self.bad), 'bad image')}, nothing was added; repair or remove, or leave "
                f"out with --on-bad-image skip: {shorten(problem_lines(self.bad), NAMED, separator='; ')}"
            )
        if not self._intake.files:
            raise DataError(
                f"{self.typed}: no usable images: {shorten(problem_lines(self.bad), NAMED, separator='; ')}"
            )
        self._intake.check_folders(self.typed, self._state.files)

    def _loose(self) -> list[Entry]:
        """Images that were put into the workspace, or edited there, since the last version."""
        before, folder = self._state.before or {}, self._workspace.folder
        changed = [p for p, digest in self._state.files.items() if image_place(p) and before.get(p) != digest]
        return [Entry(p, str(FOLDER / self.name / p), file=folder / p) for p in changed if p not in self._parts]

    # 3 -----------------------------------------------------------------------------------------------------------
    def place(self) -> None:
        """Make the new images, and what stays of the present state, the data set's folder."""
        if self._in_place:
            return
        intake = self._intake
        dropped = self._dropped(intake)
        replaced = {*intake.new, *dropped, *(given.file for given in GIVEN)}
        unchanged = [path for path in self._state.files if path not in replaced]
        old = [{path: value for _, path, value in given_rows(self._workspace.folder, given)} for given in GIVEN]
        kept = [*unchanged, *intake.new]
        merged = [merge_given(*pair, kept) for pair in zip(old, (self._parts, self._groups), strict=True)]
        if not intake.new and not dropped and merged == old:
            return
        for path in unchanged:
            self._workspace.keep(path)
        for given, values in zip(GIVEN, merged, strict=True):
            if values:
                write_given(values, self._workspace.next, given)
        self._workspace.swap()
        self._placed = True

    def _dropped(self, intake: Intake) -> set[str]:
        """Paths that leave the data set: of images that the source has elsewhere now; pruned, all that it lacks."""
        absent = missing(self._state.files, self._parts)
        if self._prune:
            return set(absent)
        moved = moved_away(self._state.files, absent, {path: intake.files[path] for path in intake.new})
        self.kept = [path for path in absent if path not in moved]
        return moved

    # 4 -----------------------------------------------------------------------------------------------------------
    def commit(self) -> None:
        """`dvc add`, and the new version's line in data/<name>.versions.yaml where anything is new.

        Raises:
            PipelineError: DVC refuses.
        """
        if self._placed or not self._state.clean:
            tracked.add(self.root, FOLDER / self.name, terminal=self._terminal)
        after = read_pointer(self.root, self.name)
        if after is None:
            raise PipelineError(f"dvc add: did not write {FOLDER / self.name}.dvc")
        files = listed(self.cache, after.md5)
        # a clone whose files were pulled one by one holds them without their listing
        self.files = hash_folder(self._workspace.folder, workers=1) if files is None else files
        self.difference = None if self._state.before is None else compare(self._state.before, self.files)
        versions = read_history(self.root, self.name)
        number = number_of(versions, after.md5)
        self.is_new = number is None
        if number is None:
            number = len(versions) + 1
            versions.append(self._new_version(number, after))
            write_history(self.root, self.name, versions)
        self.version = versions[number - 1]

    def _new_version(self, number: int, pointer: Pointer) -> Version:
        return Version(
            number=number,
            md5=pointer.md5,
            date=datetime.fromtimestamp(self.started, UTC).isoformat(timespec="seconds"),
            images=count(self.files).images,
            bytes=pointer.bytes,
            files=pointer.files,
            source=self.typed,
            git_commit=git_state(self.root)[0],
        )

    # 5, 6 --------------------------------------------------------------------------------------------------------
    def push(self) -> None:
        """`dvc push` where a default remote is set; a failure only adds to `troubles`, since the version is safe."""
        if not self.cache.remote:
            return
        try:
            tracked.push(self.root, FOLDER / self.name, terminal=self._terminal)
            self.pushed = True
        except PipelineError as error:
            self.troubles.append(
                f"{self.name} is under DVC here, but was not pushed to {self.cache.remote}: {error}; push it with "
                f"`dvc push {FOLDER.as_posix()}/{self.name}.dvc`"
            )

    def record(self) -> None:
        """One MLflow run with the version as its data set, named in the version's line; failures as in `push`."""
        version = self.version
        if version is None or version.run_id:
            return
        try:
            run_id = record_version(self, version)
        except TrackingError as error:
            self.troubles.append(f"{self.name} version {version.number} is under DVC here, but: {error}")
            return
        self.version = dataclasses.replace(version, run_id=run_id)
        versions = read_history(self.root, self.name)
        versions[version.number - 1] = self.version
        write_history(self.root, self.name, versions)


def _overlap(first: Path, second: Path) -> bool:
    return first.is_relative_to(second) or second.is_relative_to(first)
