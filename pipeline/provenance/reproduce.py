"""A version made again: in a clean checkout, from its inputs, without any cache of results; then compared by hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.checkout.make import Checkout, make_checkout
from pipeline.dvc_runner.cache import Cache, open_cache
from pipeline.dvc_runner.lock import Lock, workspace_lock
from pipeline.dvc_runner.output import Listener, reason
from pipeline.dvc_runner.program import listen
from pipeline.errors import DataError, PipelineError
from pipeline.origin import CHECKOUTS, REPRODUCTIONS
from pipeline.provenance.restage import restage
from pipeline.provenance.trace import traced
from pipeline.registry.records import RUNS, run_files, stage_of
from pipeline.tracking.client import URI_VARIABLE
from pipeline.tracking.environment import environment_id, environment_tags
from pipeline.tracking.local import sqlite_uri
from pipeline.tracking.runs import PARENT_VARIABLE
from pipeline.versioning.contents import hash_folder, listed

REGISTER = "register"
"""The stage that is left out: it would make a new version."""
INPUTS = "inputs"
"""Stands for what no stage made, where a stage is named."""
_SCRATCH = Path(".croft") / "reproduction.db"


@dataclass(frozen=True)
class Output:
    """One output of a stage, or an input that another graph makes.

    Attributes:
        stage: that made it, or INPUTS.
        path: in the workspace.
        recorded, made: DVC's MD5 with the version, and now; "" where it was not made.
        files: of a folder, those that differ; empty where that is not known.
    """

    stage: str
    path: str
    recorded: str
    made: str
    files: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether it is the same, bit for bit."""
        return self.recorded == self.made


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        model, version: that was made again.
        commit: that was checked out.
        outputs: in the order of the stages; none if nothing ran.
        left_out: outputs that are not compared, since they name the run that made them.
        code: by stage what differs from the record before anything runs; then nothing ran.
        same_environment: whether lock file and interpreter are those of the version; None where they are not recorded.
        kept: the checkout, if it was kept to look at.
    """

    model: str
    version: str
    commit: str
    outputs: tuple[Output, ...] = ()
    left_out: tuple[str, ...] = ()
    code: Mapping[str, list[str]] | None = None
    same_environment: bool | None = None
    kept: Path | None = None

    @property
    def first(self) -> str:
        """The first stage that differs, "" if all are equal."""
        if self.code:
            return next(iter(self.code))
        return next((output.stage for output in self.outputs if not output.equal), "")


def reproduce(
    root: Path,
    name: str,
    version: str | None = None,
    *,
    reuse_embeddings: bool = False,
    write: Callable[[str], object] | None = None,
) -> Reproduction:
    """Run the stages behind a version again, up to the one that registers, and compare what they make.

    Nothing is taken from DVC's run cache, and nothing is written to the project's tree, its DVC cache, its registry or
    its tracking store.

    Args:
        root: the project.
        name: of the registered model.
        version: number or alias; the champion by default.
        reuse_embeddings: take them from the workspace's store instead of encoding all images.
        write: gets the output of the stages.
    Raises:
        TrackingError: the model or version does not exist, or the server cannot be reached.
        DataError: nothing records how it was made.
        PipelineError: an input is missing, or a stage fails; the checkout is kept then.
    """
    facts, lock = traced(name, version, root=root)
    title = f"{name} version {facts['version']}"
    commit = str(facts["commit"]["id"])
    if lock is None or not commit:
        what = "no dvc.lock or run cache here records its runs" if lock is None else "its commit was not recorded"
        raise DataError(f"{title}: {what}; run `dvc fetch --all-commits`, or reproduce it where it was made")
    stages = [stage for stage in map(stage_of, lock.in_order) if stage in run_files(lock) and stage != REGISTER]
    made = make_checkout(root, commit, place=CHECKOUTS if reuse_embeddings else REPRODUCTIONS)
    known = str(facts["environment"]["id"])
    same = environment_id(environment_tags(made.root)) == known if known else None
    try:
        if code := restage(made.root, lock, stages):
            made.remove()
            return Reproduction(name, facts["version"], commit, code=code, same_environment=same)
        _run(made, stages, write)
        outputs, left_out = _compare(made.root, lock, open_cache(root))
    except BaseException as error:
        error.add_note(made.keep())
        raise
    equal = all(output.equal for output in outputs)
    if equal:
        made.remove()
    else:
        made.keep()
    kept = None if equal else made.root
    return Reproduction(name, facts["version"], commit, outputs, left_out, None, same, kept)


def _run(made: Checkout, stages: list[str], write: Callable[[str], object] | None) -> None:
    listener = Listener(write)
    extra = {URI_VARIABLE: sqlite_uri(made.root / _SCRATCH), PARENT_VARIABLE: ""}
    # Nothing is committed to the cache, which the project shares: what differs would be garbage there.
    arguments = ("repro", "--force", "--no-run-cache", "--no-commit", *stages)
    status = listen(made.root, listener, *arguments, extra=extra)
    if status:
        raise PipelineError(f"a stage failed: {reason(listener.text()) or f'dvc ended with exit status {status}'}")


def _compare(root: Path, lock: Lock, cache: Cache) -> tuple[tuple[Output, ...], tuple[str, ...]]:
    now = workspace_lock(root)
    if now is None:
        raise PipelineError(f"{root}: dvc repro left no dvc.lock")
    outs, deps = now.outs, now.deps
    compared = [Output(INPUTS, path, md5, deps.get(path, "")) for path, md5 in lock.deps.items() if path in deps]
    left_out = []
    for entry in lock.in_order:
        stage = stage_of(entry)
        for out in entry.get("outs", ()):
            path = str(out["path"])
            if Path(path).parent == Path(RUNS) or stage == REGISTER:
                left_out.append(path)
                continue
            recorded, md5 = str(out.get("md5", "")), outs.get(path, "")
            files = () if recorded == md5 else _differing(root / path, cache, recorded)
            compared.append(Output(stage, path, recorded, md5, files))
    return tuple(compared), tuple(left_out)


def _differing(folder: Path, cache: Cache, recorded: str) -> tuple[str, ...]:
    """Files of a folder that differ from its recorded listing."""
    before = listed(cache, recorded) if recorded.endswith(".dir") else None
    if before is None or not folder.is_dir():
        return ()
    after = hash_folder(folder, workers=2)
    return tuple(path for path in sorted({*before, *after}) if before.get(path) != after.get(path))
