"""What differs between two records of DVC."""

from __future__ import annotations

from pipeline.comparison.changes import Changes, changes
from pipeline.dvc_runner.lock import Lock

WEIGHTS = "pipeline/backbone/small/w.safetensors"


def files(**md5: str) -> list[dict[str, str]]:
    return [{"path": path, "md5": value} for path, value in md5.items()]


def lock(lambda_1: float = 5.0, data: str = "a.dir", code: str = "1", **more: object) -> Lock:
    finetune = {"lambda_1": lambda_1, "methods": {"croft": {}}, **more}
    ingest = {"deps": files(**{"data/mine": data}), "outs": files(manifest="m")}
    evaluate = {
        "deps": files(**{"manifest": "m", "pipeline/croft": code, WEIGHTS: f"w{code}"}),
        "params": {"params.yaml": {"finetune": finetune, "backbone": {"weights": WEIGHTS}}},
        "outs": files(scores="s"),
    }
    return Lock((ingest, evaluate))


def test_equal_records_do_not_differ() -> None:
    assert changes(lock(), lock()) == Changes()


def test_each_kind_is_named() -> None:
    found = changes(lock(), lock(lambda_1=15.0, data="b.dir", code="2", epochs=3))
    assert found.params == {"finetune.epochs": ("", "3"), "finetune.lambda_1": ("5.0", "15.0")}
    assert found.inputs == {"data/mine": ("a.dir", "b.dir"), WEIGHTS: ("w1", "w2")}
    assert found.code == ("pipeline/croft",)
