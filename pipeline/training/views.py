"""Where training takes the augmented views of its images from: an array that was made once, or any other source."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class ViewSource(Protocol):
    """Features of augmented views of T training images, D wide; several threads may ask at once."""

    width: int

    def __len__(self) -> int:
        """T."""

    def at_epoch(self, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """The view that this epoch sees of these images.

        Args:
            rows: (n,) different rows in [0, T), in any order.
            epoch: from 0.
        Returns:
            (n, D) float32, raw, on any device.
        """

    def to_average(self, rows: NDArray[np.int64]) -> Tensor:
        """The views of these images that a cache of training images averages: (n, V, D) float32, raw; V >= 1."""


class CachedViews:
    """Views that were encoded before training; epoch e sees view e mod V, and all V are averaged."""

    def __init__(self, views: NDArray[np.float32], device: str) -> None:
        """views: (T, V, D), V >= 1; shared where that is possible, copied where it is read-only (a memory map)."""
        self.views = to_device(views, device)
        self.width = views.shape[2]

    def __len__(self) -> int:
        return len(self.views)

    def at_epoch(self, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """See `ViewSource`."""
        return self.views[self._index(rows), epoch % self.views.shape[1]]

    def to_average(self, rows: NDArray[np.int64]) -> Tensor:
        """See `ViewSource`."""
        return self.views[self._index(rows)]

    def _index(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.tensor(rows, device=self.views.device)


def to_device(array: NDArray[Any], device: str) -> Tensor:
    """Share memory where possible; a read-only array (a memory map) is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)


def as_source(views: NDArray[Any] | ViewSource, device: str) -> ViewSource:
    """An array (T, V, D) as the source that it is; a source stays itself."""
    return CachedViews(views, device) if isinstance(views, np.ndarray) else views
