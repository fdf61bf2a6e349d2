"""The benchmark of the whole evaluation, on few images."""

from __future__ import annotations

from benchmarks.large_evaluation import large_evaluation
from pipeline.detection.scores.spaces import options


def test_it_evaluates_every_score_in_a_process_of_its_own() -> None:
    few, all_ = large_evaluation(images=2000, classes=9, width=16)
    assert (few["images"], all_["images"]) == (200, 2000)
    assert all_["scores"] == len(list(options()))
    assert 0.5 < all_["AUROC"] <= 1.0
    assert all_["peak GiB"] > 0.1
    assert all_["classes"] == 9
