"""What the exported graph's tensors and files are called."""

from __future__ import annotations

INPUT = "images"
PROBABILITIES = "probabilities"
OUTPUTS = (PROBABILITIES, "score", "unknown")
EMBEDDING = "embedding"
"""The tower's raw features: an output where it is asked for, and a tensor of that name in every graph."""

EXTRAS = "extras"
"""The folder beside the graph: variants, adapters, and weights that one file cannot hold."""
HEAD_FILE = "head.safetensors"


def variant_file(precision: str) -> str:
    """Of a variant in EXTRAS."""
    return f"model.{precision}.onnx"
