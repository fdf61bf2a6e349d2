"""A stage's output points at the one MLflow run that really computed it, whatever DVC skips or restores."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from clone import STAGES, pulled

from pipeline.registry.lineage import lineage

pytestmark = pytest.mark.xdist_group("dvc")
DOWNSTREAM = STAGES[STAGES.index("finetune") :]


def test_a_fresh_run_gives_every_stage_one_run_of_its_own(fresh, recorded):
    ids = fresh.run_ids()
    assert list(ids) == STAGES
    assert len(set(ids.values())) == len(STAGES)
    assert sorted(i for i in recorded() if i in ids.values()) == sorted(ids.values())


def test_afterwards_everything_is_up_to_date_and_only_lock_files_are_new(fresh):
    assert "up to date" in fresh.run("dvc", "status").stdout
    changed = fresh.run("git", "status", "--porcelain").stdout.splitlines()
    assert sorted(line[3:] for line in changed) == ["data/builtin/dvc.lock", "dvc.lock", "params.yaml"]


def test_a_second_repro_makes_no_run(clone, recorded):
    before, runs = clone.run_ids(), recorded()
    assert "Running stage" not in clone.run("dvc", "repro").stdout
    assert clone.run_ids() == before
    assert sorted(recorded()) == sorted(runs)


def test_one_changed_parameter_reruns_that_stage_and_what_follows(clone, recorded):
    before, runs = clone.run_ids(), recorded()
    metrics = clone.json("artifacts/evaluation/metrics.json")
    clone.set(finetune={"ratio_image": 0.5})
    clone.run("dvc", "repro")
    after = clone.run_ids()
    assert {s for s in STAGES if after[s] != before[s]} == set(DOWNSTREAM)
    assert set(recorded()) - set(runs) == {after[s] for s in DOWNSTREAM}
    assert clone.json("artifacts/evaluation/metrics.json") != metrics

    clone.set(finetune={"ratio_image": 0.2})  # back again: restored from the cache, with the runs that computed it
    clone.run("dvc", "repro")
    assert clone.run_ids() == before
    assert clone.json("artifacts/evaluation/metrics.json") == metrics
    assert set(recorded()) - set(runs) == {after[s] for s in DOWNSTREAM}


def test_a_second_clone_restores_outputs_and_runs_from_a_remote(clone, recorded, store, tmp_path):
    runs = recorded()
    other = pulled(clone, tmp_path, store)
    assert "Running stage" not in other.run("dvc", "repro").stdout
    assert other.run_ids() == clone.run_ids()
    assert sorted(recorded()) == sorted(runs)


def test_a_second_clone_with_a_store_of_its_own_knows_the_whole_lineage(clone, tmp_path):
    other = pulled(clone, tmp_path, None)
    made = {stage: clone.json(f"artifacts/runs/{stage}.json") for stage in STAGES}
    assert str(clone.folder.parent) not in json.dumps(made)
    (store,) = {run["store"] for run in made.values()}
    commit = made["split"]["git_commit"]

    # Nothing was registered in the store of this clone: the files alone tell.
    said = other.run("croft", "lineage").stdout
    assert re.search(rf"croft version 1, registered .* in another store than sqlite:///{other.folder}/", said)
    for stage in STAGES:
        assert re.search(rf"{stage} +{made[stage]['run_id']} +in store {store[:8]} .* {commit[:12]}", said)
    assert (
        f"Runs of store {store[:8]} are shown from the files in artifacts/runs; to open them, set MLFLOW_TRACKING_URI="
        in said
    )

    # The registration is not believed here; once the model is registered here, the version's lineage is whole.
    said = other.run("croft", "run").stdout
    assert "0 stages executed" in said
    assert "artifacts/registration.json names croft version 1: this store has no croft version 1\n" in said
    assert f"It was made in store {store[:8]}; to use that, set MLFLOW_TRACKING_URI=" in said
    assert "models:/croft" not in said
    other.run("dvc", "repro", "--force", "--single-item", "register")
    said = other.run("croft", "lineage", "1").stdout
    assert "not in this store" not in said
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        facts = lineage("croft", "1", root=other.folder)
    assert sorted(facts["stages"]) == sorted(STAGES)
    for stage in STAGES[:-1]:
        run = facts["stages"][stage]
        assert (run["store"], run["params"], run["metrics"], run["inputs"], run["git_commit"]) == (
            store, made[stage]["params"], made[stage]["metrics"], made[stage]["inputs"], commit
        )  # fmt: skip
        assert run["params"]
        assert run["inputs"]
    assert facts["stages"]["register"]["run_id"] == other.run_ids()["register"]


def test_metrics_and_plots_can_be_shown_by_dvc(fresh):
    shown = fresh.run("dvc", "metrics", "show", "--json").stdout
    assert yaml.safe_load(shown)[""]["data"]["artifacts/evaluation/metrics.json"]["data"]
    fresh.run("dvc", "plots", "show", "--out", "plots")
    assert (fresh.folder / "plots" / "index.html").stat().st_size > 1000


def test_a_stage_that_cannot_reach_its_tracker_fails_and_says_so(clone):
    clone.set(split={"seeds": [1, 3]})
    clone.env["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"  # the discard port: nothing listens
    done = clone.run("dvc", "repro", "--single-item", "split", check=False)
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "127.0.0.1:9" in errors[0]


def test_no_process_of_the_clone_is_left(fresh):
    assert fresh.processes() == []
