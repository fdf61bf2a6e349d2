"""The tensors of a weights file, read without trust, and in one line why they do not fit a model."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.errors import CheckpointError
from pipeline.phrases import counted

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_MISSING = re.compile(r"Missing key\(s\) in state_dict: (.*?)\. ")
_UNEXPECTED = re.compile(r"Unexpected key\(s\) in state_dict: (.*?)\. ")
_SIZES = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\((\[[\d, ]*\])\)"
    r".*?torch\.Size\((\[[\d, ]*\])\)"
)


def tensor_shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a weights file.

    Raises:
        CheckpointError: the file is missing, of another kind, damaged, or holds pickled objects.
    """
    if weights.suffix not in SUFFIXES:
        raise CheckpointError(f"{weights}: expected a weights file that ends in {', '.join(SUFFIXES)}")
    if not weights.is_file():
        raise CheckpointError(f"{weights}: no such weights file; fetch it with `dvc pull`, or set backbone.weights")
    try:
        if weights.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(str(weights), framework="np") as file:
                return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        import torch

        state = torch.load(weights, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        return {name.removeprefix("module."): tuple(tensor.shape) for name, tensor in state.items()}
    except Exception as error:  # torch and safetensors raise many kinds on damaged or foreign files
        kind = (
            "safetensors file"
            if weights.suffix == ".safetensors"
            else "torch file of tensors only (no pickled objects)"
        )
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"{weights}: not a readable {kind}: {reason or type(error).__name__}") from None


def load_failure(error: Exception) -> str:
    """Why torch could not load a state, as one line: how many tensors are wrong, and the first of each kind."""
    text = " ".join(str(error).split())
    parts = []
    for word, pattern in (("missing", _MISSING), ("unexpected", _UNEXPECTED)):
        listed = pattern.search(text + " ")
        if listed:
            keys = re.findall(r'"([^"]+)"', listed[1])
            parts.append(
                f"{len(keys)} {word} tensors ({keys[0]}, ...)" if len(keys) > 1 else f"{word} tensor {keys[0]}"
            )
    sizes = _SIZES.findall(text)
    if sizes:
        name, shape, expected = sizes[0]
        parts.append(f"{counted(len(sizes), 'tensor')} of another shape ({name} is {shape}, expected {expected})")
    return "; ".join(parts) or text[:200] or type(error).__name__
