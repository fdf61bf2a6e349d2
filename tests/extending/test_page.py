"""The diffs of docs/extending.md, applied to a copy of the code and used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
METHOD = """
import sys
from pathlib import Path

import numpy as np
import torch
import yaml

import pipeline
from pipeline.fits import read_fits, write_fits
from pipeline.methods.catalogue import head_logits
from pipeline.methods.settings import all_options, check_methods
from pipeline.params import parse_params
from pipeline.training.assemble import collect
from pipeline.training.engine import fit
from pipeline.training.runs import Inputs, Run

out, params = Path(sys.argv[1]), yaml.safe_load(Path(sys.argv[2]).read_text())
assert Path(pipeline.__file__).is_relative_to(out), pipeline.__file__
settings = all_options(check_methods(parse_params(params)).finetune)["task-residual"]
source, labels = np.random.default_rng(0), np.arange(60) % 3
text = source.normal(size=(3, 16)).astype(np.float32)
images = (text[labels] + 2 * source.normal(size=(60, 16))).astype(np.float32)
rows = [(seed, np.arange(40), np.arange(40, 60)) for seed in (1, 2, 3)]
runs = [Run("task-residual", "t", s, settings, a, labels[a], b, labels[b]) for s, a, b in rows]
inputs = Inputs(images[:, None], images, text, 20.0)
together = fit(runs, inputs, device="cpu", dtype="float64")
for run, trained in zip(runs, together, strict=True):
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    (alone,) = fit([run], inputs, device="cpu", dtype="float64")
    assert np.array_equal(alone.head.arrays["residual"], trained.head.arrays["residual"])
write_fits(collect(together), out / "fits")
head = read_fits(out / "fits").heads[0]
arrays = {name: torch.from_numpy(array) for name, array in head.arrays.items()}
values = head_logits(torch.from_numpy(images[40:]), head.kind, arrays, head.scalars)
share = (values.argmax(1).numpy() == labels[40:]).mean()
assert abs(share - together[0].validation_accuracy) < 1e-9
print(sorted(head.arrays), sorted(head.scalars))
"""
OTHERS = """
import sys
from pathlib import Path

import numpy as np
import torch

import pipeline
from pipeline.backbone.load import load_backbone, load_tokenizer, save_backbone
from pipeline.detection.scores.catalogue import SCORES
from pipeline.sources.benchmarks import benchmark
from stages._paths import CENSUS
from stages.census import main

out = Path(sys.argv[1])
assert Path(pipeline.__file__).is_relative_to(out), pipeline.__file__
assert SCORES["margin"].compute(torch.tensor([[1.0, 3.0, 2.0]]), 1.0).tolist() == [-1.0]
assert benchmark("eurosat").expected_images == 27000
assert (main.stage, main.sections, CENSUS.name) == ("census", (), "census.csv")
save_backbone("random-clip", "7", out / "weights.safetensors")
backbone = load_backbone("random-clip", out / "weights.safetensors", "cpu")
assert backbone.encode_images(np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, backbone.width)
assert backbone.encode_text(["a cat", "a dog"]).shape == (2, backbone.width)
assert load_tokenizer("random-clip", out / "none").lengths(["a photo"]) == [4]
print("ok")
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code with all diffs of the page."""
    folder = tmp_path_factory.mktemp("extended")
    for part in ("pipeline", "stages"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", folder)
    for number, diff in enumerate(blocks("diff")):
        (folder / f"{number}.diff").write_text(diff)
        subprocess.run(["git", "apply", f"{number}.diff"], cwd=folder, check=True)
    return folder


def run(copy: Path, program: str, *arguments: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, str(copy), *map(str, arguments)],
        cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_method_of_the_page_trains_in_a_stack_and_leaves_a_head(copy: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["finetune"]["methods"] |= yaml.safe_load(blocks("yaml")[0])["finetune"]["methods"]
    params["finetune"] |= {"epochs": 20, "batch_size": 8}
    (copy / "params.yaml").write_text(yaml.safe_dump(params))
    assert run(copy, METHOD, copy / "params.yaml") == "['prototypes', 'residual'] ['alpha', 'scale']"


def test_the_score_stage_benchmark_and_backbone_of_the_page_work(copy: Path) -> None:
    assert run(copy, OTHERS) == "ok"
    stage = yaml.safe_load((copy / "dvc.yaml").read_text())["stages"]["census"]
    assert "artifacts/runs/census.json" in stage["outs"]


def test_the_diff_is_one_file_and_one_row() -> None:
    lines = blocks("diff")[0].splitlines()
    assert [line[6:] for line in lines if line.startswith("+++ ")] == [
        "pipeline/methods/task_residual.py",
        "pipeline/methods/catalogue.py",
    ]
    row = lines[lines.index("+++ b/pipeline/methods/catalogue.py") + 1 :]
    # The import of the file, and its row.
    added = [line for line in row if line.startswith("+")]
    assert added[0].startswith("+from pipeline.methods import adapters, ")
    assert added[1:] == ["+    task_residual.METHOD,"]


def test_a_new_method_runs_the_stages_again_that_the_page_names() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    direct = [name for name, stage in stages.items() if "pipeline/methods" in stage["deps"]]
    assert direct == ["finetune", "evaluate", "export"]  # and register, which depends on what they write
