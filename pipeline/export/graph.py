"""The deployed model as a torch module, from uint8 pixels to the unknown flag, and its ONNX file."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.croft.adapters import normalise
from pipeline.detection.scores.contract import Seen
from pipeline.detection.scores.spaces import HEAD, Option, Views, compute
from pipeline.errors import CheckpointError
from pipeline.export.names import EMBEDDING, INPUT, OUTPUTS
from pipeline.export.save import EXTERNAL_BYTES, save_graph
from pipeline.fits import Head
from pipeline.methods.catalogue import head_logits, ingredients

if TYPE_CHECKING:
    import onnx

OPSET = 20  # the first with Gelu: before it, the exporter spells GELU out in a way that ONNX Runtime does not fuse


class Deciding(NamedTuple):
    """How logits become decisions.

    Attributes:
        option: the open-set score and where it looks.
        statistics: what the score learnt, float32 by name.
        text: (C, D) raw text features of the classes, for every space but the head's; else it may be None.
        threshold: an image is unknown when its score is larger.
        temperature: what logits are divided by before they become probabilities, > 0.
    """

    option: Option
    statistics: Mapping[str, Tensor] = {}
    text: Tensor | None = None
    threshold: float = 0.0
    temperature: float = 1.0


class DeployedModel(nn.Module):
    """Frozen visual tower, the head of one fit and its open-set score: images in, decisions out.

    Args:
        visual: maps (B, 3, S, S) normalised pixels to (B, D) raw features.
        head: of any kind; only what its formula takes becomes part of the graph.
        mean, std: 3 numbers each, of pixels in [0, 1].
        deciding: score, threshold and temperature; only what the score takes becomes part of the graph.
    Raises:
        CheckpointError: the head's arrays are of different widths; DataError: its kind is unknown.
    """

    mean: Tensor
    std: Tensor
    threshold: Tensor
    temperature: Tensor

    def __init__(
        self, visual: nn.Module, head: Head, *, mean: Sequence[float], std: Sequence[float], deciding: Deciding
    ) -> None:
        super().__init__()
        self.kind, self.scalars = head.kind, {name: float(value) for name, value in head.scalars.items()}
        self.names = [name for name in ingredients(head.kind) if name in head.arrays]
        arrays = {name: torch.from_numpy(np.array(head.arrays[name], dtype=np.float32)) for name in self.names}
        _check_shapes(arrays, head)
        self.visual = visual
        for name, array in arrays.items():
            self.register_buffer(name, array)
        self.register_buffer("mean", torch.tensor(list(mean), dtype=torch.float32).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(list(std), dtype=torch.float32).reshape(1, 3, 1, 1))
        self.option, self.learnt = deciding.option, list(deciding.statistics)
        for name, array in deciding.statistics.items():
            self.register_buffer(f"score_{name}", array.detach().clone().float())
        if self.option.space != HEAD:
            if deciding.text is None:
                raise ValueError(f"open-set score {self.option.name!r} needs the text features of the classes")
            self.register_buffer("text", normalise(deciding.text.float()))
        self.register_buffer("threshold", torch.tensor(float(deciding.threshold), dtype=torch.float32))
        self.register_buffer("temperature", torch.tensor(float(deciding.temperature), dtype=torch.float32))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decide on images.

        Args:
            images: (B, S, S, 3) uint8, RGB.
        Returns:
            probabilities (B, C) float32, score (B,) float32 (larger = more open-set), unknown (B,) bool.
        """
        probabilities, score = self.decide(self.embed(images))
        return probabilities, score, score > self.threshold

    def embed(self, images: Tensor) -> Tensor:
        """Raw features (B, D) of images (B, S, S, 3) uint8."""
        pixels = images.permute(0, 3, 1, 2).float() / 255.0  # (B, 3, S, S)
        features: Tensor = self.visual((pixels - self.mean) / self.std)
        return features

    def decide(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (B, C) and score (B,) of raw image features (B, D)."""
        arrays = {name: self.get_buffer(name) for name in self.names}
        raw, scale = features.float(), self.scalars["scale"]
        values = head_logits(raw, self.kind, arrays, self.scalars)  # (B, C)
        unit = plain = raw
        if self.option.space != HEAD:
            unit = normalise(raw)
            plain = scale * unit @ self.get_buffer("text").mT
        views = Views(Seen(values, scale, unit), Seen(plain, scale, unit))
        score = compute(self.option, views, {name: self.get_buffer(f"score_{name}") for name in self.learnt})
        return (values / self.temperature).softmax(dim=1), score


class _Traced(DeployedModel):
    """The same, and the embedding; only the exporter meets it."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        features = self.embed(images)
        probabilities, score = self.decide(features)
        return probabilities, score, score > self.threshold, features


def _check_shapes(arrays: Mapping[str, Tensor], head: Head) -> None:
    """Refuse a head that cannot run, before the slow export of the tower."""
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    matrices = [shape for shape in shapes.values() if len(shape) == 2]
    try:
        width = max(shape[1] for shape in matrices)
        head_logits(torch.zeros(1, width), head.kind, arrays, head.scalars)
    except (RuntimeError, ValueError):
        raise CheckpointError(
            f"deployed model: the arrays of a head of kind {head.kind!r} do not match: {shapes}"
        ) from None


def export_onnx(
    module: DeployedModel,
    image_size: int,
    path: Path,
    metadata: Mapping[str, str] | None = None,
    *,
    embedding: bool = False,
    external: str = "",
    external_bytes: int = EXTERNAL_BYTES,
) -> int:
    """Write the module as a checked ONNX file with a free batch size.

    The file contains no paths or stack traces, so that the same weights give the same bytes.

    Args:
        module: on the CPU.
        image_size: side S in pixels.
        path: the file to write; replaced as a whole.
        metadata: name to text, kept inside the file.
        embedding: whether the raw features (B, D) are an output too.
        external, external_bytes: where large weights go, see `save_graph`.
    Returns:
        The opset.
    Raises:
        CheckpointError: the visual tower cannot be traced.
    """
    import onnx

    proto = _trace(module, image_size)
    _strip(proto)
    if not embedding:
        kept = [output for output in proto.graph.output if output.name != EMBEDDING]
        del proto.graph.output[:]
        proto.graph.output.extend(kept)
    onnx.helper.set_model_props(proto, dict(sorted((metadata or {}).items())))
    save_graph(proto, path, external=external, external_bytes=external_bytes)
    return next(int(item.version) for item in proto.opset_import if item.domain in ("", "ai.onnx"))


def _trace(module: DeployedModel, image_size: int) -> onnx.ModelProto:
    traced = copy.copy(module.eval())  # shares the weights
    traced.__class__ = _Traced
    example = torch.zeros(2, image_size, image_size, 3, dtype=torch.uint8)  # batches of 0 and 1 would become constants
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about the exporter's own use of torch; parity catches a wrong graph
        try:
            program = torch.onnx.export(
                traced,
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=[INPUT],
                output_names=[*OUTPUTS, EMBEDDING],
                opset_version=OPSET,
                verbose=False,
            )
        except Exception as error:  # the exporter wraps whatever the tower raises in its own types
            first = str(error).strip().splitlines() or [type(error).__name__]
            raise CheckpointError(f"{type(module.visual).__name__}: cannot be exported to ONNX: {first[0]}") from error
    if program is None:
        raise CheckpointError(
            f"{type(module.visual).__name__}: cannot be exported to ONNX: the exporter returned nothing"
        )
    return program.model_proto


def _strip(proto: onnx.ModelProto) -> None:
    proto.doc_string = ""
    proto.graph.doc_string = ""
    graphs = [proto.graph, *proto.functions]
    for graph in graphs:
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
        for value in graph.value_info:
            del value.metadata_props[:]
        del graph.metadata_props[:]
    for value in [*proto.graph.input, *proto.graph.output, *proto.graph.initializer]:
        del value.metadata_props[:]
