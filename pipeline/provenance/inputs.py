"""What a record read and did not make: data by name and number, weights, code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.dvc_runner.lock import Lock
from pipeline.versioning.recorded import Named

CODE = ("pipeline", "stages")


@dataclass(frozen=True)
class Data:
    """A data set as a record read it.

    Attributes:
        path: in the workspace.
        md5: DVC's hash of its listing.
        versions: (name, number) of every version with this content, that of the path's own name first.
    """

    path: str
    md5: str
    versions: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return "{}@{}".format(*self.versions[0]) if self.versions else self.path


@dataclass(frozen=True)
class Inputs:
    """Attributes:
    data: the data set; None where no stage read one.
    weights: path and MD5 of the backbone's weights; None where no stage read any.
    others: path to MD5 of what is neither these nor code.
    code: path to MD5.
    """

    data: Data | None
    weights: tuple[str, str] | None
    others: dict[str, str]
    code: dict[str, str]


def inputs_of(lock: Lock, named: Named) -> Inputs:
    """Sort what the stages of a record read."""
    deps, params = lock.deps, lock.params
    root = str(params.get("data", {}).get("root", ""))
    weights = str(params.get("backbone", {}).get("weights", ""))
    data = None
    if root in deps:
        versions = named.of(deps[root], PurePosixPath(root).name)
        data = Data(root, deps[root], tuple(versions))
    rest = {path: md5 for path, md5 in deps.items() if path not in (root, weights)}
    code = {path: md5 for path, md5 in rest.items() if PurePosixPath(path).parts[0] in CODE}
    others = {path: md5 for path, md5 in rest.items() if path not in code}
    return Inputs(data, (weights, deps[weights]) if weights in deps else None, others, code)


def data_of(lock: Lock, named: Named) -> Data | None:
    """The data set of a record, if a stage read one."""
    return inputs_of(lock, named).data
