"""The whole diff of docs/extending.md for a new method, applied to a copy of the code and run."""

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
USE = """
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


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code with the page's first diff, which must apply without fuzz."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "method.diff").write_text(blocks("diff")[0])
    subprocess.run(["git", "apply", "--verbose", "method.diff"], cwd=tmp_path, check=True)
    return tmp_path


def test_the_method_of_the_page_trains_in_a_stack_and_leaves_a_head(copy: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["finetune"]["methods"] |= yaml.safe_load(blocks("yaml")[0])["finetune"]["methods"]
    params["finetune"] |= {"epochs": 20, "batch_size": 8}
    (copy / "params.yaml").write_text(yaml.safe_dump(params))
    done = subprocess.run(
        [sys.executable, "-c", USE, str(copy), str(copy / "params.yaml")],
        cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['prototypes', 'residual'] ['alpha', 'scale']"


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
