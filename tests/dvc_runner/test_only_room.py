"""Everything that starts the program `dvc`, or imports the library, lies in pipeline/dvc_runner."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STARTERS = {"run", "Popen", "call", "check_call", "check_output", "system", "run_group", "execvp", "execv", "spawn"}


def starts_dvc(code: str) -> Iterator[int]:
    """Lines that name `dvc` as a program or as part of a command that is started."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and node.value in ("dvc", b"dvc"):
            yield node.lineno
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in STARTERS:
            texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            if any(re.match(r"(\S+ -m )?dvc\b", text) for text in texts):
                yield node.lineno
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if any(name.split(".")[0] in ("dvc", "dvc_objects", "dvc_data") for name in names):
                yield node.lineno


@pytest.mark.parametrize(
    "code",
    [
        "subprocess.run([sys.executable, '-m', 'dvc', 'repro'])",
        "os.system('dvc repro')",
        "command = ('dvc', 'status')",
        "subprocess.run('python -m dvc status', shell=True)",
        "def f():\n    from dvc.repo import Repo",
    ],
)
def test_such_code_is_noticed(code: str) -> None:
    assert list(starts_dvc(code))


def test_advice_to_a_person_is_not_meant() -> None:
    assert not list(starts_dvc("print('bring it with `dvc pull`')\ncommands = [('dvc metrics show', 'numbers')]"))


def test_only_the_dvc_runner_starts_dvc() -> None:
    files = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]
    room = ROOT / "pipeline/dvc_runner"
    outside = [file for file in files if not file.is_relative_to(room)]
    assert any(list(starts_dvc(file.read_text(encoding="utf-8"))) for file in set(files) - set(outside))
    lines = [f"{file.relative_to(ROOT)}:{n}" for file in outside for n in starts_dvc(file.read_text(encoding="utf-8"))]
    assert not lines, f"start dvc through pipeline.dvc_runner: {lines}"
