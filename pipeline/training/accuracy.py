"""Source-validation accuracy of stacked adapters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.croft.adapters import adapt


def accuracy(
    features: Sequence[Tensor],
    labels: Sequence[Tensor],
    text: Tensor,
    weight_image: Tensor,
    weight_text: Tensor,
    ratio_image: Tensor,
    ratio_text: Tensor,
) -> list[float]:
    """Share of rows whose nearest class (first of equals) is their label, for each run.

    Args:
        features, labels: per run (m_r, D) and (m_r,); the runs may differ in m_r, and share tensors.
        text: (C, D).
        weight_image, weight_text: (R, D, D); ratio_image, ratio_text: (R,).
    Returns:
        R numbers in [0, 1]; NaN where a run has no rows.
    """
    found = [float("nan")] * len(features)
    sizes: dict[int, list[int]] = {}
    for position, rows in enumerate(features):
        if len(rows):
            sizes.setdefault(len(rows), []).append(position)
    with torch.no_grad():
        words = adapt(text, weight_text, ratio_text)  # (R, C, D)
        for members in sizes.values():  # never padded: another run's size must not change a product's shape
            index = torch.tensor(members, device=text.device)
            stacked = torch.stack([features[position] for position in members])  # (r, m, D)
            image = adapt(stacked, weight_image[index], ratio_image[index])
            hits = (image @ words[index].mT).argmax(-1) == torch.stack([labels[position] for position in members])
            for position, share in zip(members, hits.double().mean(-1).tolist(), strict=True):
                found[position] = share
    return found
