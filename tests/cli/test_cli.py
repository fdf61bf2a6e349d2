"""The `croft` command: what it prints and how it ends, without any run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from pipeline.cli.lineage import print_facts
from pipeline.cli.models import print_verdict
from pipeline.cli.run import print_stages
from pipeline.dvc_runner.reproduce import StageResult
from pipeline.registry.gate import Check, Verdict

ROOT = Path(__file__).resolve().parents[2]

Croft = Callable[..., "subprocess.Popen[str]"]
HEAVY = ("torch", "open_clip", "mlflow", "prefect", "great_expectations", "onnxruntime", "pandas", "numpy", "dvc")


def printed(show: Callable[[Console], None]) -> str:
    text = io.StringIO()
    show(Console(file=text, width=110))
    return text.getvalue()


def test_help_lists_the_commands_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pipeline.cli import app\n"
        "try: app(['--help'])\n"
        f"except SystemExit: print('heavy:', sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "heavy: []" in done.stdout
    for command in (
        "run",
        "sweep",
        "use",
        "promote",
        "rollback",
        "lineage",
        "runs",
        "reproduce",
        "gc",
        "compare",
        "predict",
        "params",
        "backbone",
        "data",
    ):
        assert f" {command} " in done.stdout


def test_params_prints_every_knob_as_it_will_be_used(tmp_path: Path, croft: Croft) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    del content["evaluate"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    out, err = (process := croft(tmp_path, "params")).communicate()
    assert (process.returncode, err) == (0, "")
    knobs = yaml.safe_load(out)
    assert knobs["evaluate"] == {"bootstrap": 1000, "bins": 40, "hessian_probes": 64}  # defaults of pipeline/params
    assert knobs["register"] == {"model": content["register"]["model"]}
    assert {key: knobs["split"][key] for key in content["split"]} == content["split"]


@pytest.mark.parametrize("command", [["run"], ["promote"], ["params"]])
def test_a_wrong_params_file_is_one_line_and_status_2_before_anything_else(
    tmp_path: Path, croft: Croft, command: list[str]
) -> None:
    text = (ROOT / "params.yaml").read_text()
    assert "  epochs: " in text
    (tmp_path / "params.yaml").write_text(text.replace("  epochs: ", "  epoch: "))
    out, err = (process := croft(tmp_path, *command)).communicate()
    assert process.returncode == 2
    assert out == ""
    assert err == "error: params.yaml: unknown key 'finetune.epoch'; did you mean 'epochs'?\n"
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_outside_a_project_it_says_where_to_go(tmp_path: Path, croft: Croft) -> None:
    _, err = (process := croft(tmp_path, "run")).communicate()
    assert process.returncode == 2
    assert err == "error: params.yaml: no such file; run this in the project's folder or below it\n"


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("data", "root", "data/nowhere", "error: params.yaml: data.root: data/nowhere does not exist"),
        ("backbone", "weights", "data/none.safetensors", "error: params.yaml: backbone.weights: data/none.safetensors"),
    ],
)
def test_an_input_that_is_not_there_is_named_before_anything_is_started(
    project, croft: Croft, section: str, key: str, value: str, message: str
) -> None:
    root = project({})
    params = yaml.safe_load((root / "params.yaml").read_text())
    params[section][key] = value
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    run = croft(root, "run")
    out, error = run.communicate(timeout=60)
    assert (run.returncode, out) == (2, "")
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_a_name_that_dvc_cannot_keep_is_named_before_dvc_meets_it(project, croft: Croft) -> None:
    root = project({})
    folder = root / yaml.safe_load((root / "params.yaml").read_text())["data"]["root"]
    for number in range(22):
        (Path(os.fsdecode(bytes(folder) + b"/a\xff%02d" % number))).mkdir()
    run = croft(root, "run")
    out, error = run.communicate(timeout=60)
    assert (run.returncode, out) == (2, "")
    assert error.startswith("error: DVC cannot store names that are not UTF-8; rename these: ")
    assert error.endswith("/a\\xff19: the name is not UTF-8; and 2 more\n")
    assert error.count("\n") == 1


def test_a_split_in_data_root_is_not_taken_for_domains(project, croft: Croft) -> None:
    root = project({})
    for part in ("train", "val", "test"):
        (root / "photos" / part / "cat").mkdir(parents=True)
        (root / "photos" / part / "cat/1.png").write_bytes(b"x")
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["data"]["root"] = "photos"
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    run = croft(root, "run")
    out, error = run.communicate(timeout=60)
    assert (run.returncode, out) == (2, "")
    assert error == (
        "error: photos: the folders test, train, val are called as parts of a split are, and nothing says that they "
        "are domains; `croft data add photos --name NEW` makes a data set with these parts, and with --domains one "
        "with these domains; then set data.root: data/NEW\n"
    )


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, croft: Croft) -> None:
    _, err = (process := croft(tmp_path, "backbone", "add", "ViT-B-32", "x.bin", "--name", "../x")).communicate()
    assert process.returncode == 2
    assert err.startswith("error: --name: ")


def test_the_stage_table_counts_what_was_done() -> None:
    results = [
        StageResult("data/builtin/dvc.yaml:digits", "up-to-date", 0.0),
        StageResult("split", "restored", 2.04),
        StageResult("finetune", "executed", 61.26),
    ]
    text = printed(lambda console: print_stages(results, 70.4, console))
    rows = [line.split() for line in text.splitlines() if line.strip()]
    assert ["digits", "up", "to", "date"] in rows
    assert ["split", "restored", "2.0"] in rows
    assert ["finetune", "executed", "61.3"] in rows
    assert "1 stage executed, 1 restored from DVC's cache (70 s)" in text


def test_a_run_without_work_says_so() -> None:
    text = printed(lambda console: print_stages([StageResult("split", "up-to-date", 0.0)], 9.0, console))
    assert "0 stages executed: everything is up to date (9 s)" in text


CHECKS = (Check("parity", True, "the graph agrees"), Check("auroc", False, "AUROC 0.70 [worse] than 0.80"))


@pytest.mark.parametrize(
    ("verdict", "ending"),
    [
        (Verdict(True, CHECKS[:1], version="1", promoted=True), "croft version 1 is champion"),
        (
            Verdict(True, CHECKS, True, "known issue", version="3", champion="2", promoted=True),
            "croft version 3 is champion (before: version 2); forced: known issue",
        ),
        (
            Verdict(False, CHECKS, version="3", champion="2"),
            "croft version 3 was not promoted; version 2 stays champion",
        ),
        (Verdict(False, CHECKS, version="1"), "croft version 1 was not promoted; there is no champion"),
        (Verdict(True, CHECKS[:1], version="2", champion="2"), "croft version 2 stays champion"),
    ],
)
def test_a_verdict_shows_every_check_and_what_became_of_the_alias(verdict: Verdict, ending: str) -> None:
    lines = printed(lambda console: print_verdict("croft", verdict, console)).splitlines()
    expected = ["  pass  the graph agrees", "  FAIL  AUROC 0.70 [worse] than 0.80"][: len(verdict.reasons)]
    assert lines == [*expected, ending]


def test_the_lineage_is_printed_in_full() -> None:
    run = {"run_id": "a" * 32, "status": "FINISHED", "started": 0.5, "git_commit": "c" * 40}
    facts = {
        "model": "croft",
        "version": "4",
        "aliases": ["challenger", "champion"],
        "created": 86400.0,  # one day after 1970-01-01 00:00
        "tracking_uri": "sqlite:////p/mlflow.db",
        "store": "5" * 32,
        "registered_here": True,
        "stages": {
            "split": run,
            "validate": {**run, "store": "6" * 32, "server": ""},
            "evaluate": {**run, "store": "7" * 32, "server": "http://host:5000"},
            "export": {"run_id": "b" * 32, "status": "not in this store"},
        },
        "tags": {"manifest_sha256": "d" * 64, "git_commit": "c" * 40},
        "record": None,
        "data": {"path": "data/mine", "md5": "e" * 32 + ".dir", "versions": [["mine", 2], ["copy", 1]]},
        "weights": {"path": "data/backbones/a.safetensors", "md5": "f" * 32, "sha256": "9" * 64},
        "environment": {"id": "8" * 64, "lock_sha256": "7" * 64, "python": "CPython", "python_sha256": "6" * 64},
        "commit": {"id": "c" * 40, "dirty": True},
        "verdict": {"passed": True, "forced": False, "reasons": [["parity", True, "the graph agrees"]]},
        "journal": [
            {"time": "T", "action": "promote", "before": "", "after": "4", "forced": False, "reason": "new [x]"}
        ],
    }
    text = printed(lambda console: print_facts(facts, console))
    for part in (
        "croft version 4 (challenger, champion), registered 1970-01-02 00:00:00+00:00 in sqlite:////p/mlflow.db "
        "(store 55555555)",
        "in store 66666666",
        "Runs of store 66666666 are shown from the files in artifacts/runs; to open them, set "
        "MLFLOW_TRACKING_URI=sqlite:////PATH/.croft/mlflow.db, with the path of the workspace that made it\n",
        "Runs of store 77777777 are shown from the files in artifacts/runs; to open them, set "
        "MLFLOW_TRACKING_URI=http://host:5000\n",
        "Of the runs that are not in this store no file is left: ",
        "a" * 32,
        "b" * 32,
        "c" * 12,
        "not in this store",
        f"manifest_sha256: {'d' * 64}",
        "no dvc.lock here records them: run `dvc fetch --all-commits`",
        "data: data/mine eeeeeeeeeeee (mine@2, the same bytes as copy@1)\n",
        f"weights: data/backbones/a.safetensors ffffffffffff, sha256 {'9' * 64}\n",
        "environment: 888888888888 (requirements.lock 777777777777, CPython, program 666666666666)\n",
        f"commit: {'c' * 40} with local changes\n",
        "Gate: passed",
        "── pass  the graph agrees",
        "── T promote none -> 4: new [x]",
    ):
        assert part in text


def test_a_choice_that_an_option_does_not_have_is_refused_before_anything_starts(croft: Croft, tmp_path: Path) -> None:
    process = croft(tmp_path, "data", "add", ".", "--name", "mine", "--on-bad-image", "drop")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    said = " ".join(err.replace("│", " ").split())
    assert "Invalid value for '--on-bad-image'" in said
    assert "'drop' is not one of 'fail', 'skip'" in said
    assert list(tmp_path.iterdir()) == []
