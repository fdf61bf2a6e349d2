"""dvc.yaml tells the truth: its deps cover what stages import, its params what they read, its outs what they write."""

from __future__ import annotations

import importlib
from pathlib import Path

import grimp
import pytest
import yaml

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
# What these change is how a stage talks, never what it writes; a new sentence must not cost a re-encoding.
TALK = {"errors", "progress", "process", "telemetry", "tracking", "origin", "console", "phrases", "storage"}
# Copied into the registered model rather than imported (pipeline/registry/package.py).
SHIPPED = {"register": {"pipeline/serving", "pipeline/images"}}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    graph = grimp.build_graph("pipeline", "stages", cache_dir=None)
    # Every stage refuses a params.yaml of which any part is wrong, the methods' settings included; what it writes does
    # not depend on them.
    graph.remove_import(importer="stages._run", imported="pipeline.methods.settings")
    return graph


def covered(module: str, deps: set[str]) -> bool:
    path = Path(*module.split("."))
    return f"{path}.py" in deps or any(str(parent) in deps for parent in [path, *path.parents])


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_what_the_stage_imports(imports, name):
    deps = {dep for dep in STAGES[name]["deps"] if isinstance(dep, str)}
    closure = imports.find_upstream_modules(f"stages.{name}") | {f"stages.{name}"}
    missing = {
        module
        for module in closure
        if not covered(module, deps)
        and module not in {"pipeline", "stages", "stages._run", "stages._paths"}
        and module.split(".")[1] not in TALK
        and not is_bare_package(module)
    }
    assert not missing, f"add to the deps of {name} in dvc.yaml: {sorted(missing)}"


@pytest.mark.parametrize("name", STAGES)
def test_deps_name_nothing_that_the_stage_does_not_import(imports, name):
    closure = imports.find_upstream_modules(f"stages.{name}")
    code = [dep for dep in STAGES[name]["deps"] if dep.startswith("pipeline/") and not dep.endswith(".safetensors")]
    code = sorted(set(code) - SHIPPED.get(name, set()))
    unused = [dep for dep in code if not any(covered(module, {dep}) for module in closure)]
    assert not unused, f"{name} in dvc.yaml depends on code that it does not import: {unused}"


def test_deps_cover_what_draws_the_digits(imports):
    stage = yaml.safe_load((ROOT / "data/builtin/dvc.yaml").read_text())["stages"]["digits"]
    closure = imports.find_upstream_modules("pipeline.builtin.digits.__main__")
    needed = {m for m in closure if m.split(".")[1] not in TALK and not is_bare_package(m)}
    assert {m for m in needed if not covered(m, set(stage["deps"]))} == set()


def is_bare_package(module: str) -> bool:
    """A package whose __init__.py holds no code: only its docstring."""
    init = ROOT / Path(*module.split(".")) / "__init__.py"
    if not init.is_file():
        return False
    import ast

    body = ast.parse(init.read_text()).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


@pytest.mark.parametrize("name", STAGES)
def test_params_are_what_the_stage_reads(name):
    main = importlib.import_module(f"stages.{name}").main
    assert main.stage == name
    assert list(main.sections) == STAGES[name]["params"]


def outputs(name: str) -> set[str]:
    stage = STAGES[name]
    listed = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in listed}


def test_paths_in_code_are_the_graphs_paths():
    from stages import _paths

    written = {path for name in STAGES for path in outputs(name)}
    named = {str(v) for k, v in vars(_paths).items() if isinstance(v, Path)} - {
        "artifacts",
        "artifacts/runs",
        ".croft/embeddings",
        ".croft/read.sqlite",
    }
    assert named == {path for path in written if not path.startswith("artifacts/runs/")}


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_writes_its_run_and_nothing_depends_on_it(name):
    run = f"artifacts/runs/{name}.json"
    assert run in outputs(name)
    assert not any(run in stage["deps"] or "artifacts/runs" in stage["deps"] for stage in STAGES.values())


@pytest.mark.parametrize("name", STAGES)
def test_every_input_is_an_output_of_an_earlier_stage(name):
    earlier: set[str] = set()
    for stage in STAGES:
        if stage == name:
            break
        earlier |= outputs(stage)
    inputs = {dep for dep in STAGES[name]["deps"] if dep.startswith("artifacts/")}
    assert inputs <= earlier


def test_a_section_that_a_stage_did_not_name_is_absent():
    from pipeline.params import load_params
    from stages._run import _only

    params = load_params(ROOT / "params.yaml")
    only = _only(params, ["data", "register"])
    assert (only.data, only.register_) == (params.data, params.register_)
    for section in ("compute", "split", "finetune", "export"):
        with pytest.raises(AttributeError, match=section):
            getattr(only, section)
