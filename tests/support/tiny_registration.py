"""A stage that really registers a model, the tiny one, in a project of toy stages."""

from __future__ import annotations

from pathlib import Path

from tiny_model import write_tiny_model

SCRIPT = """
from pathlib import Path

from pipeline.registry.register import register_model
from pipeline.tables import write_json
from pipeline.tracking.identity import read_identity
from stages._run import Record, stage

METRICS = {"zero-shot": {"mean": {"accuracy": 0.5}}, "croft": {"mean": {"accuracy": 0.8}}}


@stage("register", sections=("register",))
def main(params):
    name = params.register_.model

    def within(run):
        runs = {file.stem: read_identity(file).run_id for file in sorted(Path("artifacts/runs").glob("*.json"))}
        tags = {f"stage.{stage}.run_id": made for stage, made in {**runs, "register": run}.items()}
        version = register_model(Path("artifacts/export"), name=name, run_id=run, tags=tags, metrics=METRICS)
        write_json({"model": name, "version": version, "run_id": run}, Path("artifacts/registration.json"))

    card, protocol = Path("artifacts/export/card.json"), Path("artifacts/protocol")
    runs = Path("artifacts/runs")
    artifacts = [path for path in (card, protocol, runs) if path.exists()]
    return Record(metrics={"a": 1.0}, artifacts=artifacts, datasets=[("model", "a" * 64, str(card))], within=within)


main()
"""
STAGE: dict[str, object] = {
    "cmd": "python register_tiny.py",
    "deps": ["artifacts/export"],
    "outs": ["artifacts/registration.json", "artifacts/runs/register.json"],
}
"""To go into a project's stages as `register`; `write_export` makes what it needs."""


def write_export(root: Path, *, padding: int = 0) -> None:
    """The script of the stage, and artifacts/export: what the export stage would leave, `padding` bytes larger."""
    (root / "register_tiny.py").write_text(SCRIPT)
    write_tiny_model(root / "artifacts" / "export")
    if padding:
        import onnx

        model = onnx.load(str(root / "artifacts" / "export" / "model.onnx"))
        model.doc_string = "x" * padding
        onnx.save(model, str(root / "artifacts" / "export" / "model.onnx"))
