"""What no stage computes with lies where no stage depends on it: touching it makes no stage run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from clone import BIN, ROOT, Clone, copy_project

# A new benchmark, a new reader of sources, another glyph for the small CLIP; and the rooms that run the stages.
TOUCHED = [
    "pipeline/sources/benchmarks/new.yaml",
    "pipeline/sources/new.py",
    "pipeline/builtin/small_clip/glyphs.py",
    "pipeline/versioning/adding.py",
    "pipeline/dvc_runner/graph.py",
    "pipeline/comparison/show.py",
    "pipeline/flows/train.py",
    "pipeline/cli/data.py",
]


def stages() -> dict[str, dict[str, list[str]]]:
    files = [ROOT / "dvc.yaml", ROOT / "data/builtin/dvc.yaml"]
    return {name: stage for file in files for name, stage in yaml.safe_load(file.read_text())["stages"].items()}


@pytest.mark.parametrize("path", TOUCHED)
def test_no_stage_depends_on(path: str) -> None:
    depending = {
        name for name, stage in stages().items() for dep in stage["deps"] if Path(path).is_relative_to(Path(dep))
    }
    assert not depending


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The whole graph, up to date for DVC: outputs that stand for the real ones, recorded by `dvc commit`."""
    folder = tmp_path_factory.mktemp("committed")
    copy_project(folder)
    for stage in stages().values():
        for listed in ("outs", "metrics"):
            for out in stage.get(listed, []):
                path = folder / out
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(out)
    clone = Clone(folder, folder / "mlflow.db")
    clone.run(str(BIN / "dvc"), "commit", "--force", "--quiet")
    clone.run(str(BIN / "dvc"), "commit", "--force", "--quiet", "data/builtin/dvc.yaml")
    return clone


def out_of_date(clone: Clone) -> set[str]:
    return set(json.loads(clone.run(str(BIN / "dvc"), "status", "--json").stdout))


@pytest.mark.slow
def test_dvc_finds_no_stage_out_of_date_after_a_new_benchmark_a_new_reader_and_another_glyph(committed: Clone) -> None:
    assert out_of_date(committed) == set()
    for path in TOUCHED:
        with (committed.folder / path).open("a") as file:
            file.write("# touched\n")
    assert out_of_date(committed) == set()
    with (committed.folder / "pipeline/data/quality.py").open("a") as file:
        file.write("# touched\n")
    assert out_of_date(committed) == {"ingest", "validate", "split"}  # featurize encodes nothing again
