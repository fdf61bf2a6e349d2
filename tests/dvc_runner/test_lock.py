"""Records of DVC: read, followed back, and found in the workspace, in git and in the run cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.dvc_runner.cache import Cache
from pipeline.dvc_runner.lock import commit_of, lock_at, parse_lock, recorded, workspace_lock
from pipeline.errors import DataError


def stage(deps: dict[str, str], outs: dict[str, str], **params: object) -> dict[str, object]:
    return {
        "cmd": "python x.py",
        "deps": [{"path": path, "md5": md5} for path, md5 in deps.items()],
        "outs": [{"path": path, "md5": md5} for path, md5 in outs.items()],
        **({"params": {"params.yaml": params}} if params else {}),
    }


def text(**stages: dict[str, object]) -> str:
    return yaml.safe_dump({"schema": "2.0", "stages": stages})


MADE = text(
    a=stage({"data/mine": "1.dir"}, {"artifacts/a": "a1"}, data={"root": "data/mine"}),
    b=stage({"artifacts/a": "a1", "pipeline/b": "2"}, {"artifacts/b": "b1"}, finetune={"lr": 1e-05}),
    c=stage({"artifacts/b": "b1", "pipeline/c": "3"}, {"artifacts/c": "c1"}, export={"method": "croft"}),
)


def test_what_made_an_output_is_followed_back() -> None:
    lock = parse_lock(MADE, "dvc.lock").behind("artifacts/b")
    assert lock.outs == {"artifacts/a": "a1", "artifacts/b": "b1"}
    assert lock.deps == {"data/mine": "1.dir", "pipeline/b": "2"}
    assert lock.params == {"data": {"root": "data/mine"}, "finetune": {"lr": 1e-05}}
    assert parse_lock(MADE, "dvc.lock").behind("artifacts/z").outs == {}


@pytest.mark.parametrize("content", ["", "[", "a: b", "stages: 3"])
def test_something_else_is_refused(content: str) -> None:
    with pytest.raises(DataError, match=r"main:dvc\.lock: not a dvc\.lock of DVC"):
        parse_lock(content, "main:dvc.lock")


def test_without_git_there_is_the_workspace_and_the_run_cache(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(MADE)
    runs = tmp_path / "cache" / "runs" / "01" / "0123"
    runs.mkdir(parents=True)
    (runs / "damaged").write_text("[")
    (runs / "older").write_text(yaml.safe_dump(stage({"data/mine": "0.dir"}, {"artifacts/a": "a0"})))
    (runs / "newer").write_text(yaml.safe_dump(stage({"artifacts/a": "a0"}, {"artifacts/b": "b0"})))
    cache = Cache(tmp_path / "cache" / "files" / "md5", "copy", "")
    present, remembered = recorded(tmp_path, cache, "artifacts/b")
    assert present.outs["artifacts/b"] == "b1"
    assert (remembered.outs, remembered.deps) == ({"artifacts/a": "a0", "artifacts/b": "b0"}, {"data/mine": "0.dir"})
    assert commit_of(tmp_path, "main") == ""
    assert lock_at(tmp_path, "0" * 40) is None
    assert workspace_lock(tmp_path / "cache") is None
