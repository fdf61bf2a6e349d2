"""Resolve `auto | cuda | cpu` to a torch device string."""

from __future__ import annotations

from pipeline.errors import DeviceError


def resolve_device(name: str) -> str:
    """The torch device for `compute.device`.

    Raises:
        DeviceError: `cuda` was requested without a CUDA device, or the name is unknown.
    """
    import torch

    if name not in ("auto", "cuda", "cpu"):
        raise DeviceError(f"compute.device: expected auto, cuda or cpu, found {name!r}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise DeviceError("compute.device: cuda was requested, but torch finds no CUDA device; use auto or cpu")
    return "cuda" if available and name != "cpu" else "cpu"
