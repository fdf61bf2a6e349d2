"""Images in, decisions out: the exported graph with its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.errors import CheckpointError, DataError
from pipeline.serving.card import read_card
from pipeline.serving.inputs import pixels_of
from pipeline.serving.session import infer, open_proven

if TYPE_CHECKING:
    import os

    import numpy as np
    from PIL.Image import Image

    Input = bytes | str | os.PathLike[str] | Image | np.ndarray

GRAPH_FILE, CARD_FILE = "model.onnx", "card.json"
UNKNOWN = "unknown"
EMBEDDING = "embedding"  # an output of graphs that were exported with it
MAX_BYTES = 32_000_000
MAX_PIXELS = 50_000_000
BATCH = 64

OnError = Literal["report", "raise"]
REPORT, RAISE = "report", "raise"
"""What a bad image does: it gets an error in place of an answer, or the whole call raises it."""


@dataclass(frozen=True)
class Predictions:
    """Decisions on N images.

    Attributes:
        classes: C names, in the order of the probabilities.
        probabilities: (N, C) float32, rows sum to 1; NaN for an image with an error.
        score: (N,) float32, larger = more open-set; NaN for an image with an error.
        unknown: (N,) bool; False for an image with an error.
        errors: N texts: why an image has no answer; "" for one that has.
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    score: np.ndarray
    unknown: np.ndarray
    errors: tuple[str, ...]

    @property
    def most_probable(self) -> list[str | None]:
        """The most probable known class of each image, whether or not it is unknown; None with an error."""
        best = self.probabilities.argmax(axis=1)
        return [None if error else self.classes[index] for index, error in zip(best, self.errors, strict=True)]

    @property
    def labels(self) -> list[str | None]:
        """The answer for each image: `unknown`, or the most probable class; None with an error."""
        return [UNKNOWN if flag else name for flag, name in zip(self.unknown, self.most_probable, strict=True)]

    def top(self, k: int) -> list[list[tuple[str, float]]]:
        """The k most probable known classes of each image with their probabilities, most probable first.

        Args:
            k: at least 1; all classes where there are fewer.
        Returns:
            N lists of (class, probability); an empty one for an image with an error.
        """
        if k < 1:
            raise DataError(f"top: expected 1 or more, found {k}")
        order = (-self.probabilities).argsort(axis=1, kind="stable")[:, :k]  # (N, k); of equals, the first as argmax
        return [
            [] if error else [(self.classes[index], float(row[index])) for index in best]
            for best, row, error in zip(order, self.probabilities, self.errors, strict=True)
        ]


class Predictor:
    """A loaded model; it may be called from several threads, as ONNX Runtime's sessions may.

    Args:
        folder: holds model.onnx and card.json.
        graph, card: these files instead of those in the folder.
        device: auto, cuda or cpu.
        threads: CPU threads of one prediction; all cores by default.
        batch: images that the graph takes at once.
        spinning: whether idle threads keep their core busy; False where other work shares the cores.
        max_bytes: of one encoded image.
        max_pixels: of one decoded image.
    Attributes:
        card: what the graph does not hold itself.
        executed: ONNX Runtime's execution providers to the number of nodes that each ran, most first, as one inference
            on a grey image showed.
    Raises:
        CheckpointError: the graph is missing, unreadable, cannot run, or does not fit its card.
        DataError: the card is missing or wrong, or threads or batch is below 1.
        DeviceError: the device is not available, or runs nothing.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        graph: Path | None = None,
        card: Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        batch: int = BATCH,
        spinning: bool = True,
        max_bytes: int = MAX_BYTES,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if folder is None and (graph is None or card is None):
            raise DataError("predictor: expected a folder, or a graph and a card")
        for name, value in (("threads", threads), ("batch", batch)):
            if value is not None and value < 1:
                raise DataError(f"{name}: expected 1 or more, found {value}")
        graph = graph or Path(folder or ".") / GRAPH_FILE
        self.card = read_card(card or Path(folder or ".") / CARD_FILE)
        self.session, self.executed = open_proven(graph, device, threads, spinning=spinning)
        self._batch, self._max_bytes, self._max_pixels = batch, max_bytes, max_pixels
        shapes = {item.name: item.shape for item in (*self.session.get_inputs(), *self.session.get_outputs())}
        size, count = self.card.image_size, len(self.card.classes)
        expected = {"images": [size, size, 3], "probabilities": [count], "score": [], "unknown": []}
        if {name: shape[1:] for name, shape in shapes.items() if name != EMBEDDING} != expected:
            raise CheckpointError(
                f"{graph}: does not fit its card ({count} classes, {size} pixels); export them together"
            )

    def predict(self, images: Sequence[Input] | np.ndarray, on_error: OnError = "report") -> Predictions:
        """Decide on images, in batches.

        Args:
            images: encoded bytes, paths, Pillow images, or arrays (H, W), (H, W, 3) or (H, W, 4) of uint8 in the order
                RGB; a list, a tuple or an array (N, H, W, 3).
            on_error: report (an image that cannot be used has an error, the others an answer) or raise.
        Raises:
            DataError: `images` is a single image; on_error is neither; or with raise, an image is damaged, too large,
                of an unknown format or of another type. It is named by its path or position.
        """
        import numpy as np

        check_on_error(on_error)
        if not isinstance(images, list | tuple) and not (isinstance(images, np.ndarray) and images.ndim == 4):
            raise DataError(f"images: expected a list or an array (N, H, W, 3), found one {type(images).__name__}")
        count = len(images)
        errors = [""] * count
        probabilities = np.full((count, len(self.card.classes)), np.nan, np.float32)
        score, unknown = np.full(count, np.nan, np.float32), np.zeros(count, bool)
        for start in range(0, count, self._batch):
            rows: list[int] = []
            pixels: list[np.ndarray] = []
            for row in range(start, min(start + self._batch, count)):
                try:
                    pixels.append(self.pixels(images[row], f"image {row}"))
                    rows.append(row)
                except DataError as error:
                    if on_error == RAISE:
                        raise
                    errors[row] = str(error)
            if rows:
                probabilities[rows], score[rows], unknown[rows] = self.predict_pixels(np.stack(pixels))
        return Predictions(self.card.classes, probabilities, score, unknown, tuple(errors))

    def predict_pixels(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Probabilities (B, C), score (B,) and unknown (B,) of images (B, S, S, 3) uint8, already cropped to size."""
        return infer(self.session, {"images": pixels}, ["probabilities", "score", "unknown"])

    def decide(self, pixels: np.ndarray) -> Predictions:
        """As `predict`, of images (B, S, S, 3) uint8 that `pixels` has cut, in one batch."""
        probabilities, score, unknown = self.predict_pixels(pixels)
        return Predictions(self.card.classes, probabilities, score, unknown, ("",) * len(pixels))

    def pixels(self, image: Input, name: str) -> np.ndarray:
        """Decode one image and cut it to the graph's square: (S, S, 3) uint8.

        Args:
            image: in any form that `predict` takes.
            name: in errors; a path names itself.
        Raises:
            DataError: the image is damaged, too large, of an unknown format or of another type.
        """
        size, limits = self.card.image_size, {"max_bytes": self._max_bytes, "max_pixels": self._max_pixels}
        return pixels_of(image, size=size, name=name, **limits)


def check_on_error(value: object) -> None:
    """Refuse any value but report and raise.

    Raises:
        DataError: naming it.
    """
    if value not in (REPORT, RAISE):
        raise DataError(f"on_error: expected {REPORT} or {RAISE}, found {value!r}")
