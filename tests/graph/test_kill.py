"""SIGKILL during any stage, and a new start, end in the numbers of a run that nobody disturbed."""

from __future__ import annotations

import pytest
from clone import SHRUNK, STAGES, Clone, copy_project
from identities import Ledger
from killing import kill_when

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dvc"), pytest.mark.timeout(1800)]
# Long enough to be inside the stage's own work for some stages, and inside its imports for others.
DELAYS = {"digits": 2.0, "featurize": 7.0, "finetune": 6.0, "evaluate": 6.0, "export": 12.0, "register": 6.0}


@pytest.mark.parametrize("command", [["croft", "run"], ["dvc", "repro"]], ids=["croft run", "dvc repro"])
def test_killed_in_every_stage_and_started_again(fresh, store, tmp_path, command):
    clone = Clone(tmp_path / "clone", store)
    copy_project(clone.folder)
    clone.set(**SHRUNK)
    for stage in ["digits", *STAGES]:
        kill_when(clone, command, lambda said, stage=stage: f"{stage}':" in said, DELAYS.get(stage, 3.0))
    clone.run(*command)
    ledger = Ledger(store)
    ledger.check(clone)
    ledger.take_new()  # no run is open
    assert clone.json("artifacts/evaluation/metrics.json") == fresh.json("artifacts/evaluation/metrics.json")
    for output in ("artifacts/manifest.parquet", "artifacts/splits.parquet", "artifacts/features/clean.npy"):
        assert (clone.folder / output).read_bytes() == (fresh.folder / output).read_bytes()
    assert "up to date" in clone.run("dvc", "status").stdout
