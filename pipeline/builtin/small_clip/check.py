"""Zero-shot accuracy of the built-in CLIP on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.backbone.small import MODEL_NAME
from pipeline.errors import DataError

KNOWN = ("zero", "one", "two", "three", "four", "five", "six")
TEMPLATE = "a photo of the digit {}."


@torch.no_grad()
def encode_folder(model: Any, folder: Path) -> tuple[Tensor, list[str], list[str]]:
    """Encode every image of `folder/<domain>/<class>/*.png`.

    Args:
        model: an open_clip model on the CPU or a GPU, in evaluation mode.
        folder: where the images are.
    Returns:
        (N, D) float32 unit image features on the CPU, N domains, N class names.
    Raises:
        DataError: no images in that layout.
    """
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image

    files = sorted(folder.glob("*/*/*.png"))
    if not files:
        raise DataError(f"{folder}: expected images as domain/class/*.png, found none; make them or correct the path")
    transform = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    device = next(model.parameters()).device
    rows = []
    for start in range(0, len(files), 256):
        pixels = torch.stack([transform(Image.open(file).convert("RGB")) for file in files[start : start + 256]])
        rows.append(F.normalize(model.encode_image(pixels.to(device)).float(), dim=-1).cpu())
    return torch.cat(rows), [file.parts[-3] for file in files], [file.parts[-2] for file in files]


@torch.no_grad()
def encode_names(model: Any, names: tuple[str, ...]) -> Tensor:
    """Unit text features of TEMPLATE filled with each name: (C, D) float32 on the CPU."""
    import open_clip

    tokens = open_clip.get_tokenizer(MODEL_NAME)([TEMPLATE.format(name) for name in names])
    device = next(model.parameters()).device
    return F.normalize(model.encode_text(tokens.to(device)).float(), dim=-1).cpu()


def zero_shot(model: Any, folder: Path) -> dict[str, float]:
    """Accuracy on the known digits zero to six, by domain and on average over the domains (key `mean`), in [0, 1]."""
    features, domains, classes = encode_folder(model, folder)
    predicted = (features @ encode_names(model, KNOWN).T).argmax(1).tolist()
    hits: dict[str, list[bool]] = {}
    for domain, name, row in zip(domains, classes, predicted, strict=True):
        if name in KNOWN:
            hits.setdefault(domain, []).append(KNOWN[row] == name)
    accuracy = {domain: sum(right) / len(right) for domain, right in sorted(hits.items())}
    accuracy["mean"] = sum(accuracy.values()) / len(accuracy)
    return {key: round(value, 4) for key, value in accuracy.items()}
