"""How many images one forward pass may take, so that a batch size that suits one tower does not exhaust another."""

from __future__ import annotations

from typing import Any

CPU_BYTES = 2**30
"""Fixed on a CPU, and not what happens to be free: how a batch is cut shows in the last digit of its features."""
GPU_SHARE = 4
"""One part in this many of a GPU's memory."""
COPIES = 4
"""The largest output of a layer exists with its input, the residual and a temporary beside it."""


def images_per_forward(visual: Any, image_size: int, device: str) -> int:
    """Images whose activations fit the memory that is set aside for them; at least 1.

    One image is passed through the tower, and the largest output of any of its layers is taken for what each costs.

    Args:
        visual: the image tower, a module that takes (B, 3, S, S), in evaluation mode.
        image_size: S, pixels.
        device: torch's name of it.
    """
    import torch

    largest = 0

    def note(_: Any, __: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, torch.Tensor):
            largest = max(largest, output.numel() * output.element_size())

    hooks = [module.register_forward_hook(note) for module in visual.modules()]
    try:
        with torch.inference_mode():
            visual(torch.zeros(1, 3, image_size, image_size, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    total = torch.cuda.get_device_properties(device).total_memory // GPU_SHARE if "cuda" in device else CPU_BYTES
    return max(1, total // (COPIES * max(largest, 1)))
