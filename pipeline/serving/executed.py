"""Which execution provider really ran a graph, by ONNX Runtime's own profile of one inference."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.serving.session import make_session, providers_in

if TYPE_CHECKING:
    import numpy as np


def executed_nodes(path: Path, images: np.ndarray, device: str = "cpu") -> dict[str, int]:
    """Run one batch and count the nodes that each provider executed.

    Args:
        path: an ONNX file whose only input is `images`.
        images: (B, S, S, 3) uint8.
        device: as in `make_session`.
    Returns:
        Name of a provider to its number of nodes, the largest first.
    Raises:
        CheckpointError, DeviceError: as in `make_session`.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = make_session(path, device, profile=Path(folder) / "run")
        session.run(None, {session.get_inputs()[0].name: images})
        return providers_in(Path(session.end_profiling()))
