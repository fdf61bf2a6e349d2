"""One loaded version: its graph, its batcher, and what it says of itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.hashing import file_sha256
from pipeline.service.batcher import Batcher
from pipeline.service.settings import Settings
from pipeline.serving.predictor import EMBEDDING, UNKNOWN, Predictor
from pipeline.serving.session import infer

if TYPE_CHECKING:
    import numpy as np

PROBABILITIES, SCORE, IS_UNKNOWN = "probabilities", "score", "unknown"


@dataclass(frozen=True)
class Source:
    """Where a version lies.

    Attributes:
        name, version: in every answer.
        graph, card: files on this machine.
        alias: that led here; "" for none.
    """

    name: str
    version: str
    graph: Path
    card: Path
    alias: str = ""


@dataclass(frozen=True)
class Decision:
    """What the graph says of one image: probabilities (C,), score, unknown, embedding (D,) or None."""

    probabilities: np.ndarray
    score: float
    unknown: bool
    embedding: np.ndarray | None


class Model:
    """A version that has answered once.

    Attributes:
        source, predictor: of this version.
        batcher: through which requests reach it; made by `start` in the event loop.
        facts: what /model shows.
        outputs: names of the graph's outputs that are asked for.
    """

    batcher: Batcher

    def __init__(self, source: Source, settings: Settings, *, device: str, threads: int | None) -> None:
        """Load a version; `Predictor` runs it once, on a grey image.

        Raises:
            CroftError: its files are missing or wrong, or the device is not available.
        """
        self.source, self._settings = source, settings
        self.predictor = Predictor(
            graph=source.graph,
            card=source.card,
            device=device,
            threads=threads or max(1, (os.cpu_count() or 1) - 1),  # one core for HTTP and decoding
            spinning=False,  # HTTP and decoding need the cores between two inferences
            max_bytes=settings.max_bytes,
            max_pixels=settings.max_pixels,
        )
        card = self.predictor.card
        self.classes, self.size, self.threshold = card.classes, card.image_size, card.threshold
        offered = {output.name for output in self.predictor.session.get_outputs()}
        self.outputs = [PROBABILITIES, SCORE, IS_UNKNOWN, *([EMBEDDING] if EMBEDDING in offered else [])]
        self.device = "cuda" if next(iter(self.predictor.executed)).startswith("CUDA") else "cpu"
        self.facts = self._facts()

    @property
    def has_embedding(self) -> bool:
        """Whether the graph has an output `embedding`."""
        return EMBEDDING in self.outputs

    def start(self, observe: Callable[[int], None]) -> None:
        """Make the batcher; call it in the event loop."""
        limits = self._settings
        self.batcher = Batcher(self.run, limits.max_batch, limits.max_delay, limits.queue, observe)

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """The outputs for (B, S, S, 3) uint8."""
        return infer(self.predictor.session, {"images": pixels}, self.outputs)

    async def decide(self, decode: Callable[[], np.ndarray], threads: Executor) -> Decision:
        """The decision on what `decode` gives, (S, S, 3) uint8, in a batch with others."""
        row = await self.batcher.answer(decode, threads)
        return Decision(row[0], float(row[1]), bool(row[2]), row[3] if self.has_embedding else None)

    def label(self, decision: Decision) -> str:
        """`unknown`, or the most probable class."""
        return UNKNOWN if decision.unknown else self.classes[int(decision.probabilities.argmax())]

    def _facts(self) -> dict[str, Any]:
        source, card = self.source, json.loads(self.source.card.read_text(encoding="utf-8"))
        kept = ("method", "backbone", "score", "option", "temperature", "sha256")
        return {
            "name": source.name,
            "version": source.version,
            "alias": source.alias or None,
            "classes": list(self.classes),
            "image_size": self.size,
            "threshold": self.threshold,
            "device": self.device,
            "embedding": self.has_embedding,
            "graph_sha256": file_sha256(source.graph),
            "card": {key: card[key] for key in kept if key in card},
        }
