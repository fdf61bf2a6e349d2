"""`croft run` on the real graph: nothing to do is said, and the first version becomes champion through the gate."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.xdist_group("dvc")


def test_a_run_with_nothing_to_do_says_so_and_shows_the_results(clone, recorded):
    ids, runs = clone.run_ids(), recorded()
    out = clone.run("croft", "run").stdout
    assert "0 stages executed: everything is up to date" in out
    assert "Accuracy on the held-out domain" in out
    assert (clone.folder / "artifacts/evaluation/report.html").as_uri() in out
    assert clone.run_ids() == ids
    version = clone.json("artifacts/registration.json")["version"]
    assert f"models:/croft/{version}" in out

    # Only the parent run of this call is new; it says of every stage which run made its outputs, and that none ran.
    (parent,) = set(recorded()) - set(runs)
    from pipeline.tracking.client import connect

    tags = connect_to(clone, connect).get_run(parent).data.tags
    assert {stage: tags[f"stage.{stage}.run_id"] for stage in ids} == ids
    assert {tags[f"stage.{stage}.state"] for stage in ids} == {"up-to-date"}


def connect_to(clone, connect):
    """A client of the clone's store, whatever this process's own environment says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", clone.env["MLFLOW_TRACKING_URI"])
        return connect(clone.folder)
