"""What is not here, data of a .dvc file or what stages made: where it can come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.dvc_runner.cache import Cache, open_cache
from pipeline.errors import PipelineError
from pipeline.origin import main_worktree

_MADE_BY = {"backbones": "croft backbone add MODEL TAG --name {name}", "data": "croft data add PATH --name {name}"}


def missing_data(root: Path, stage: str) -> str:
    """What is missing and what brings it back, as one sentence.

    Args:
        root: where .dvc is.
        stage: path of the .dvc file, relative to root.
    """
    ways = []
    if open_cache(root).remote:
        ways.append(f"fetch it with `dvc pull {stage}`")
    if shared := _main_cache(root):
        ways.append(f"share the cache of the main worktree: `dvc cache dir --local {shared}`")
    if not ways:
        ways.append("share the cache of a clone that has it: `dvc cache dir --local CLONE/.dvc/cache`")
        ways.append(f"make it again: `{_command(Path(stage))}`")
    no_remote = "" if ways[0].startswith("fetch") else ", and no remote is set"
    return f"{stage}: its data is neither in the workspace nor in DVC's cache{no_remote}; {', or '.join(ways)}"


def missing_outputs(cache: Cache, paths: Sequence[str], *, revision: str, stage: str) -> str:
    """What brings outputs of another revision into the cache.

    Args:
        cache: DVC's.
        paths: of the outputs.
        revision: that has them, in words.
        stage: that makes them.
    """
    if cache.remote:
        return f"run `dvc fetch --all-commits {' '.join(paths)}`"
    return (
        f"no remote is set to `dvc fetch` {'it' if len(paths) == 1 else 'them'} from; share the cache of a clone that "
        f"has {'it' if len(paths) == 1 else 'them'}: `dvc cache dir --local CLONE/.dvc/cache`, or check {revision} out "
        f"and run `dvc repro {stage}`"
    )


def _command(file: Path) -> str:
    name = file.name.removesuffix(".dvc").removesuffix(".safetensors")
    return _MADE_BY.get(file.parent.name, "dvc add {path}").format(name=name, path=file.with_suffix("").as_posix())


def _main_cache(root: Path) -> Path | None:
    main = main_worktree(root)
    try:
        return open_cache(main).folder.parents[1] if main else None  # .dvc/cache, of .dvc/cache/files/md5
    except PipelineError:
        return None
