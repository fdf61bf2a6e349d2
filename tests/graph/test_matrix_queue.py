"""Whatever DVC's experiments run, restore or fail at, each output names the one run that computed it.

The first rows of this matrix are in test_matrix.py.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from clone import STAGES, Clone
from identities import Ledger, stages_run

# tests/registry/test_experiments.py is the quick one
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dvc"), pytest.mark.timeout(1800)]
# What each experiment sets, and the stages that have to run: neither batch size nor model changes what follows.
TWICE = ["featurize", "finetune"]
QUEUED: dict[str, tuple[list[str], list[str]]] = {
    "one": (["featurize.batch_size=7"], TWICE),
    "equal": (["featurize.batch_size=7"], TWICE),
    "last": (["register.model=other"], ["register"]),
    # Some digits are within 7 bits of one another; that is now a fault, which `split` finds.
    "fails": (
        ["data.fatal=[near_duplicates_across_splits]", "data.near_duplicate_distance=7"],
        ["ingest", "validate", "split"],
    ),
}


@pytest.fixture
def workspace(fresh: Clone, tmp_path: Path) -> Clone:
    """A finished clone with all committed, whose store (its own) has a version 1."""
    folder = tmp_path / "workspace"
    shutil.copytree(fresh.folder, folder, symlinks=True)
    shutil.copy2(fresh.env["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///"), folder / ".croft/mlflow.db")
    clone = Clone(folder, None)
    clone.run("git", "config", "user.name", "t")
    clone.run("git", "config", "user.email", "t@example.org")
    clone.run("git", "add", "-A")
    clone.run("git", "commit", "-qm", "baseline")
    return clone


def set_values(values: list[str]) -> list[str]:
    return [word for value in values for word in ("-S", value)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_four_queued_of_which_two_are_equal_and_one_fails(workspace: Clone, jobs: int) -> None:
    ledger = Ledger(workspace.folder / ".croft/mlflow.db")
    baseline = ledger.after(workspace, workspace.run("dvc", "repro").stdout, [])
    for name, (values, _) in QUEUED.items():
        workspace.run("dvc", "exp", "run", "--queue", "--name", name, *set_values(values))
    workspace.run("dvc", "exp", "run", "--run-all", "--jobs", str(jobs))
    assert list((workspace.folder / ".dvc/tmp/exps").rglob("mlflow.db")) == []
    executed = {name: stages_run(workspace.run("dvc", "queue", "logs", name).stdout) for name in QUEUED}
    twice = [executed.pop("one"), executed.pop("equal")]
    assert executed == {name: QUEUED[name][1] for name in executed}
    if jobs == 1:
        assert sorted(twice) == [[], TWICE]  # the later one is restored from the run cache
    else:
        assert {stage for ran in twice for stage in ran} == set(TWICE)
    executed |= dict(zip(("one", "equal"), twice, strict=True))

    # The failed experiment left the runs of what it had finished, and no state.
    new = ledger.take_new()
    left = {run_id for run_id, stage in new.items() if stage in ("ingest", "validate")}
    assert sorted(new[run_id] for run_id in left) == ["ingest", "validate"]
    claimed = {}
    for name in ("one", "equal", "last"):
        workspace.run("dvc", "exp", "apply", name)
        ids = ledger.check(workspace)
        claimed |= {ids[stage]: stage for stage in executed[name]}
        assert {stage for stage in STAGES if ids[stage] != baseline[stage]} == set(QUEUED[name][1])
        assert ledger.after(workspace, workspace.run("dvc", "repro").stdout, []) == ids
    assert claimed == {run_id: stage for run_id, stage in new.items() if run_id not in left}
    assert sum(map(len, executed.values())) == len(new) + 1  # `split` opened no run

    workspace.run("dvc", "exp", "branch", "one", "kept")
    workspace.run("git", "checkout", "-q", "-f", "kept")
    workspace.run("dvc", "checkout", "-q")
    kept = ledger.after(workspace, workspace.run("croft", "run").stdout, [])
    assert {stage for stage in STAGES if kept[stage] != baseline[stage]} == set(TWICE)

    # Tried again in the workspace, it starts from what it had finished; then nothing is left of it.
    workspace.run("git", "checkout", "-q", "-f", "main")
    workspace.run("dvc", "checkout", "-q")
    failed = workspace.run("dvc", "exp", "run", *set_values(QUEUED["fails"][0]), check=False)
    assert failed.returncode
    assert stages_run(failed.stdout) == ["split"]
    assert ledger.take_new() == {}
    workspace.run("git", "checkout", "-q", "-f", "main")
    assert ledger.after(workspace, workspace.run("dvc", "repro").stdout, []) == baseline


def test_experiments_in_the_workspace_and_in_a_temporary_folder(workspace: Clone) -> None:
    ledger = Ledger(workspace.folder / ".croft/mlflow.db")
    baseline = ledger.check(workspace)
    said = workspace.run("dvc", "exp", "run", "--temp", "--name", "temporary", "-S", "featurize.batch_size=7").stdout
    assert stages_run(said) == TWICE
    new = ledger.take_new()
    assert ledger.check(workspace) == baseline  # it ran elsewhere
    workspace.run("dvc", "exp", "apply", "temporary")
    temporary = ledger.check(workspace)
    assert new == {temporary[stage]: stage for stage in TWICE}
    assert workspace.json("artifacts/runs/featurize.json")["metrics"]["encoded"] == 0

    said = workspace.run("dvc", "exp", "run", "--name", "here", "-S", "register.model=other").stdout
    here = ledger.after(workspace, said, ["register"])
    assert here == {**temporary, "register": here["register"]}
    said = workspace.run("dvc", "exp", "run", "-S", "register.model=croft", "-S", "featurize.batch_size=256").stdout
    assert ledger.after(workspace, said, []) == baseline
