"""What a weights file cannot say about itself: a small JSON file beside it, `<weights>.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import CheckpointError, DataError
from pipeline.hashing import file_sha256
from pipeline.tables import read_json, write_json


def sidecar_path(weights: Path) -> Path:
    """Where the note about a weights file lies."""
    return weights.with_name(weights.name + ".json")


def write_sidecar(weights: Path, *, model: str, source: str, quick_gelu: bool, preprocess: dict[str, Any]) -> Path:
    """Note beside a weights file which model it is for.

    Args:
        weights: the file, already there.
        model: open_clip's model name.
        source: the tag, or the name of the file it was read from.
        quick_gelu: whether it was trained with the QuickGELU activation; no tensor tells.
        preprocess: mean, std, interpolation, resize_mode.
    """
    note = {
        "model": model,
        "source": source,
        "quick_gelu": quick_gelu,
        "preprocess": preprocess,
        "sha256": file_sha256(weights),
    }
    write_json(note, sidecar_path(weights))
    return sidecar_path(weights)


def read_sidecar(weights: Path, *, model: str, quick_gelu: bool) -> dict[str, Any]:
    """The note beside a weights file, or {} where there is none.

    Raises:
        CheckpointError: the note is damaged or contradicts the file, the model or its activation.
    """
    path = sidecar_path(weights)
    if not path.exists():
        return {}
    try:
        note = read_json(path)
    except DataError as error:
        raise CheckpointError(str(error)) from None
    if not isinstance(note, dict) or not {"model", "quick_gelu", "preprocess", "sha256"} <= set(note):
        raise CheckpointError(f"{path}: not a note about weights; remove it, or make it anew with `croft backbone add`")
    if note["sha256"] != file_sha256(weights):
        raise CheckpointError(
            f"{path}: belongs to another file than {weights.name}; make both anew with `croft backbone add`"
        )
    # before the names, since it is the fault that nothing else would show: the tensors fit, the features are wrong
    if bool(note["quick_gelu"]) != quick_gelu:
        expected = "with" if note["quick_gelu"] else "without"
        raise CheckpointError(
            f"{weights}: trained {expected} QuickGELU as {note['model']}, but backbone.model is {model}; "
            f"set it to {note['model']!r}"
        )
    if note["model"] != model:
        raise CheckpointError(
            f"{weights}: holds {note['model']}, but backbone.model is {model}; set it to {note['model']!r}"
        )
    return note
