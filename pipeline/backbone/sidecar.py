"""What a weights file does not say about itself: a small JSON note next to it, `<weights>.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import CheckpointError, DataError
from pipeline.hashing import file_sha256
from pipeline.tables import read_json, write_json


def sidecar_path(weights: Path) -> Path:
    """Where the note about a weights file lies."""
    return weights.with_name(weights.name + ".json")


def write_sidecar(
    weights: Path,
    *,
    model: str,
    source: str,
    quick_gelu: bool,
    preprocess: dict[str, Any],
    config: dict[str, Any] | None = None,
) -> None:
    """Record which model a weights file is for.

    Args:
        weights: the file, already written.
        model: its name.
        source: the tag, or the name of the file or folder it was read from.
        quick_gelu: whether it was trained with the QuickGELU activation, which no tensor shows.
        preprocess: mean, std, interpolation, resize_mode.
        config: its architecture, where the name does not fix it.
    """
    note = {
        "model": model,
        "source": source,
        "quick_gelu": quick_gelu,
        "preprocess": preprocess,
        "sha256": file_sha256(weights),
    }
    write_json(note if config is None else {**note, "config": config}, sidecar_path(weights))


def read_note(weights: Path) -> dict[str, Any]:
    """The note next to a weights file, not yet compared with the file; {} where there is none.

    Raises:
        CheckpointError: the note is damaged.
    """
    path = sidecar_path(weights)
    if not path.exists():
        return {}
    try:
        note = read_json(path)
    except DataError as error:
        raise CheckpointError(str(error)) from None
    if not isinstance(note, dict) or not {"model", "quick_gelu", "preprocess", "sha256"} <= set(note):
        raise CheckpointError(
            f"{path}: expected the keys model, quick_gelu, preprocess and sha256; remove the file, or write it "
            "anew with `croft backbone add`"
        )
    return note


def read_sidecar(weights: Path, *, model: str, quick_gelu: bool) -> dict[str, Any]:
    """The note next to a weights file, or {} where there is none.

    Raises:
        CheckpointError: the note is damaged or contradicts the file, the model or its activation.
    """
    note = read_note(weights)
    if not note:
        return {}
    if note["sha256"] != file_sha256(weights):
        raise CheckpointError(
            f"{sidecar_path(weights)}: belongs to another file than {weights.name}; write both anew with "
            "`croft backbone add`"
        )
    # before the names, since no other check would notice it: the tensors fit, the features are wrong
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
