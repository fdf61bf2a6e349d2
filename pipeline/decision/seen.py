"""What open-set scores see of images: logits of a fit and of zero-shot, and unit features."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.detection.scores.contract import Training
    from pipeline.detection.scores.spaces import Views
    from pipeline.fits import Head


class Eye:
    """Looks at raw image features as one fit does; holds its arrays as tensors.

    Args:
        head: of the fit.
        text: (C, D) raw text features of the classes that it knows, in the order of its labels.
    """

    def __init__(self, head: Head, text: np.ndarray) -> None:
        self.kind, self.scalars = head.kind, head.scalars
        self.arrays = {name: to_tensor(array) for name, array in head.arrays.items()}
        self.text = _unit(to_tensor(text))
        self.scale = float(head.scalars["scale"])

    def views(self, images: np.ndarray) -> Views:
        """Both views of (B, D) raw features."""
        import torch

        from pipeline.detection.scores.contract import Seen
        from pipeline.detection.scores.spaces import Views
        from pipeline.methods.catalogue import head_logits

        raw = to_tensor(images)
        features = _unit(raw)
        with torch.inference_mode():
            logits = head_logits(raw, self.kind, self.arrays, self.scalars)
            plain = self.scale * features @ self.text.mT
        return Views(Seen(logits, self.scale, features), Seen(plain, self.scale, features))

    def training(self, images: np.ndarray, labels: np.ndarray, words: np.ndarray | None = None) -> Training:
        """What scores learn from: (N, D) raw features of training images, (N,) labels, (W, D) raw text of words."""
        import torch

        from pipeline.detection.scores.contract import Training

        given = None if words is None else _unit(to_tensor(words))
        return Training(_unit(to_tensor(images)), torch.tensor(labels), self.text, self.scale, given)


def to_tensor(array: np.ndarray) -> Tensor:
    """A copy in float32: mapped arrays are not writable."""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(array, dtype=np.float32))


def _unit(rows: Tensor) -> Tensor:
    from pipeline.croft.adapters import normalise

    return normalise(rows)
