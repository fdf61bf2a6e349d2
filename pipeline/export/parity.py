"""Whether the exported graph agrees with the torch module, on real images and at several batch sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DeviceError, ParityError
from pipeline.phrases import counted
from pipeline.serving.session import make_session

if TYPE_CHECKING:
    import numpy as np

    from pipeline.export.graph import DeployedModel

PROVIDERS = ("cpu", "cuda")
_CHUNK = 64  # images per call, however many there are


def compare(
    module: DeployedModel, onnx_path: Path, images: np.ndarray, *, tolerance: float, provider: str = "cpu"
) -> dict[str, Any]:
    """Run both on the same images and measure how far apart they are.

    Args:
        module: the reference, on the CPU.
        onnx_path: the exported graph.
        images: (N, S, S, 3) uint8.
        tolerance: largest difference of a probability, and of a score relative to max(1, |score|).
        provider: cpu or cuda, where ONNX Runtime runs.
    Returns:
        images, batch_sizes, provider, tolerance, max_probability_difference, max_score_difference (relative),
        unknown_disagreements (outside the tolerance around the threshold) and passed.
    Raises:
        DeviceError: ONNX Runtime cannot run on the provider.
        ParityError: there are no images, or the graph cannot run on them.
    """
    import numpy as np

    if len(images) == 0:
        raise ParityError(f"{onnx_path}: no images to compare on")
    if provider not in PROVIDERS:
        raise DeviceError(f"provider: expected {' or '.join(PROVIDERS)}, found {provider!r}")
    session = make_session(onnx_path, provider)
    sizes = sorted({1, min(3, len(images)), min(_CHUNK, len(images))})
    probability = score = 0.0
    disagreements = 0
    threshold = float(module.threshold)
    for size in sizes:
        # The small batches show that the batch is free; only the largest one has to see every image.
        count = len(images) if size == sizes[-1] else size
        for start in range(0, count, size):
            batch = images[start : start + size]
            exported, expected = _onnx(session, batch, onnx_path), _torch(module, batch)
            for reference, output in zip(expected, exported, strict=True):
                if reference.shape != output.shape or not np.isfinite(output).all():
                    raise ParityError(
                        f"{onnx_path}: expected finite output of shape {reference.shape}, found {output.shape}"
                    )
            scale = np.maximum(1.0, np.abs(expected[1]))
            probability = max(probability, float(np.abs(expected[0] - exported[0]).max()))
            score = max(score, float((np.abs(expected[1] - exported[1]) / scale).max()))
            decided = np.abs(expected[1] - threshold) > tolerance * scale
            disagreements += int((expected[2] != exported[2])[decided].sum())
    return {
        "images": len(images),
        "batch_sizes": sizes,
        "provider": provider,
        "tolerance": tolerance,
        "max_probability_difference": probability,
        "max_score_difference": score,
        "unknown_disagreements": disagreements,
        "passed": probability <= tolerance and score <= tolerance and disagreements == 0,
    }


def check(result: Mapping[str, Any], tolerance: float) -> None:
    """Refuse a graph that differs too much from the reference.

    Args:
        result: as `compare` returns.
        tolerance: largest difference allowed.
    Raises:
        ParityError: a difference is larger, or an unknown flag differs away from the threshold.
    """
    probability, score = float(result["max_probability_difference"]), float(result["max_score_difference"])
    flags = int(result["unknown_disagreements"])
    if result.get("breaches"):
        raise ParityError(f"{result['breaches'][0]}; the export is refused: see export.parity")
    # Written so that a NaN fails.
    if not (probability <= tolerance and score <= tolerance and flags == 0):
        raise ParityError(
            f"ONNX Runtime ({result['provider']}) and torch differ by {probability:.2e} in probability and "
            f"{score:.2e} in score (allowed {tolerance:.0e}), and in {counted(flags, 'unknown flag')}, "
            f"on {counted(result['images'], 'image')}; the export is refused: see export.tolerance"
        )


def _torch(module: DeployedModel, batch: np.ndarray) -> list[np.ndarray]:
    import torch

    with torch.inference_mode():
        return [output.cpu().numpy() for output in module(torch.from_numpy(batch))]


def _onnx(session: Any, batch: np.ndarray, path: Path) -> list[np.ndarray]:
    try:
        return list(session.run(None, {session.get_inputs()[0].name: batch}))
    except Exception as error:  # onnxruntime's own exception types share no public base
        raise ParityError(f"{path}: cannot run on a batch of {len(batch)}: {' '.join(str(error).split())}") from None
