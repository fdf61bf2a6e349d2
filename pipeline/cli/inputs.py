"""`croft params` and `croft backbone add`: what goes into a run."""

from __future__ import annotations

from pathlib import Path

from pipeline import telemetry
from pipeline.errors import DataError
from pipeline.params import Params, load_params
from pipeline.params.yaml_text import dump_yaml
from pipeline.versioning.names import check_plain

BACKBONES = Path("data/backbones")


def print_params() -> None:
    """Print the knobs as YAML, defaults filled in."""
    print(dump_yaml(load_params().model_dump(mode="json", by_alias=True)), end="")


def add_backbone(model: str, source: str, name: str) -> None:
    """Save a model's weights as data/backbones/<name>.safetensors, under DVC, and print which keys to set.

    Raises:
        ParamsError: the name is not a plain name.
        CheckpointError: the model or tag is unknown or unsupported, or the hub, file or folder cannot be read.
        PipelineError: DVC refuses the file.
    """
    check_plain(name, "--name")
    telemetry.disable()
    from pipeline.backbone.load import save_backbone
    from pipeline.dvc_runner.place import check_place
    from pipeline.dvc_runner.tracked import add_and_push

    check_place(Path.cwd())
    saved = BACKBONES / f"{name}.safetensors"
    save_backbone(model, source, saved)
    pushed = add_and_push(Path.cwd(), saved)
    notes = sorted(path.as_posix() for path in BACKBONES.iterdir() if path.name.startswith(f"{saved.name}."))
    print(f"{saved.as_posix()} is under DVC{' and pushed to its remote' if pushed else ''}. Commit:")
    print(f"  git add {' '.join([*notes, (BACKBONES / '.gitignore').as_posix()])}")
    print("and set in params.yaml:")
    print(f"  backbone:\n    model: {model}\n    weights: {saved.as_posix()}")


def check_inputs(params: Params) -> None:
    """Refuse a run that cannot work before anything is started.

    Raises:
        DataError: an input is missing, and neither DVC nor a stage beside it can make it; an image has a name that
            DVC cannot store; or domains are called as parts (`check_domains`).
        DeviceError: compute.device is cuda and there is no GPU.
    """
    from pipeline.data.parts import check_domains
    from pipeline.data.refused import check_names

    for key, value in (("data.root", params.data.root), ("backbone.weights", params.backbone.weights)):
        path = Path(value)
        tracked = path.with_name(f"{path.name}.dvc").is_file() or (path.parent / "dvc.yaml").is_file()
        if not path.exists() and not tracked:
            raise DataError(
                f"params.yaml: {key}: {value} does not exist; correct the path, put the files there, or fetch them "
                "with `dvc pull`"
            )
    check_names(Path(params.data.root))
    check_domains(Path(params.data.root))
    if params.compute.device == "cuda":
        from pipeline.device import resolve_device

        resolve_device(params.compute.device)
