"""The benchmark of metrics: both sides of every ratio compute the same number."""

from __future__ import annotations

import pytest

from benchmarks import metric_times
from pipeline.detection import metrics


def test_every_metric_that_another_library_has_is_timed() -> None:
    rows = metric_times.metric_times(1, images=2000)
    timed = {(row["metric"], row["scores"]) for row in rows}
    names = {"auroc", "fpr95_id_positive", "fpr95_ood_positive", "average_precision", "aupr_out", "aupr_in", "oscr"}
    names |= {"ece", "brier_top_label"}
    assert timed == {(name, kind) for name in names for kind in ("different", "tied")} | {("aurc", "different")}
    assert all(row["times faster"] > 0 and row["ms, ours"] > 0 for row in rows)


def test_a_number_that_differs_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "aupr_in", lambda known, unknown: 0.5)
    with pytest.raises(AssertionError, match=r"aupr_in, different: 0\.5, pytorch-ood 0\."):
        metric_times.metric_times(1, images=2000)
