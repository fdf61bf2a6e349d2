"""A CLIP of random weights that is small enough to encode hundreds of images in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TINY = "tiny-random-clip"
SIZE = 32


def tiny_clip(folder: Path, name: str = TINY, width: int = 24, **text: Any) -> tuple[str, Path]:
    """Register the model with open_clip, a QuickGELU twin of it too, and write random weights for it.

    Args:
        folder: for the weights; name: of the model, one that open_clip has
            not seen yet; width: D; text: changes to its text_cfg.
    Returns:
        (open_clip model name, safetensors file).
    """
    import open_clip
    import torch
    from safetensors.torch import save_file

    config: dict[str, Any] = {
        "embed_dim": width,
        "vision_cfg": {"image_size": SIZE, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1, **text},
    }
    for twin, quick in ((name, False), (f"{name}-quickgelu", True)):
        path = folder / f"{twin}.json"
        path.write_text(json.dumps({**config, "quick_gelu": quick}))
        open_clip.add_model_config(path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.create_model(name)
    weights = folder / "tiny.safetensors"
    save_file(model.state_dict(), weights)
    return name, weights
