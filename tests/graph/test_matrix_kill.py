"""Killed at any moment and resumed, each output names the one run that computed it, and no run stays open.

The first rows of this matrix are in test_matrix.py; test_kill.py compares the numbers.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from clone import STAGES, Clone
from identities import Ledger, stages_run
from killing import kill_when

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dvc"), pytest.mark.timeout(1800)]


def opened(store: Path) -> bool:
    """Whether a stage's run is open at this moment."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        tagged = "SELECT 1 FROM runs JOIN tags USING (run_uuid) WHERE status = 'RUNNING' AND key = 'stage'"
        return database.execute(tagged).fetchone() is not None


@pytest.mark.parametrize("command", [["croft", "run"], ["dvc", "repro"]], ids=["croft run", "dvc repro"])
def test_killed_in_the_middle_and_resumed(clone: Clone, store: Path, command: list[str]) -> None:
    ledger = Ledger(store)
    before = ledger.check(clone)

    # While `evaluate` computes: `finetune` is done, and the run of `evaluate` is not open yet.
    clone.set(finetune={"ratio_image": 0.3})
    said = kill_when(clone, command, lambda said: "Running stage 'evaluate':" in said, 3.0)
    assert stages_run(said) == ["finetune", "evaluate"]
    (finetune,) = ledger.take_new().items()
    resumed = ledger.after(clone, clone.run(*command).stdout, ["evaluate", "export", "register"])
    assert (resumed["finetune"], "finetune") == finetune
    assert {stage for stage in STAGES if resumed[stage] == before[stage]} == set(STAGES[:4])

    # While the run of `register` is open: that run is lost, and another one takes its place.
    clone.set(register={"model": "other"})
    said = kill_when(clone, command, lambda said: opened(store))
    assert stages_run(said) == ["register"]
    said = clone.run(*command).stdout
    assert stages_run(said) == ["register"]
    (register,) = ledger.take_new(register="KILLED").items()
    assert ledger.check(clone) == {**resumed, "register": register[0]}

    # Killed and given up: what was there before is back.
    clone.set(register={"model": "third"})
    kill_when(clone, command, lambda said: "Running stage 'register':" in said, 1.0)
    clone.set(register={"model": "croft"})
    assert ledger.after(clone, clone.run(*command).stdout, []) == resumed
