"""Images in, decisions out: the exported graph with its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import CheckpointError, DataError
from pipeline.images import centre_square, check_size, open_rgb, to_rgb
from pipeline.serving.card import read_card
from pipeline.serving.session import make_session

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

GRAPH_FILE, CARD_FILE = "model.onnx", "card.json"
UNKNOWN = "unknown"
MAX_BYTES = 32_000_000
MAX_PIXELS = 50_000_000
BATCH = 64


@dataclass(frozen=True)
class Predictions:
    """Decisions on N images.

    Attributes:
        classes: C names, in the order of the probabilities.
        probabilities: (N, C) float32, rows sum to 1.
        score: (N,) float32, larger = more open-set.
        unknown: (N,) bool.
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    score: np.ndarray
    unknown: np.ndarray

    @property
    def most_probable(self) -> list[str]:
        """The most probable known class of each image, whether or not it is unknown."""
        return [self.classes[index] for index in self.probabilities.argmax(axis=1)]

    @property
    def labels(self) -> list[str]:
        """The answer for each image: `unknown`, or the most probable class."""
        return [UNKNOWN if flag else name for flag, name in zip(self.unknown, self.most_probable, strict=True)]


class Predictor:
    """A loaded model; it may be called from several threads, as ONNX Runtime's sessions may.

    Args:
        folder: holds model.onnx and card.json.
        graph, card: these files instead of those in the folder.
        device: auto, cuda or cpu.
        threads: CPU threads of one prediction; all cores by default.
        max_bytes: of one encoded image.
        max_pixels: of one decoded image.
    Raises:
        CheckpointError: the graph is missing, unreadable, or does not fit its card.
        DataError: the card is missing or wrong.
        DeviceError: the device is not available.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        graph: Path | None = None,
        card: Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        max_bytes: int = MAX_BYTES,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if folder is None and (graph is None or card is None):
            raise DataError("predictor: expected a folder, or a graph and a card")
        graph = graph or Path(folder or ".") / GRAPH_FILE
        self.card = read_card(card or Path(folder or ".") / CARD_FILE)
        self.session = make_session(graph, device, threads)
        self._max_bytes, self._max_pixels = max_bytes, max_pixels
        shapes = {item.name: item.shape for item in (*self.session.get_inputs(), *self.session.get_outputs())}
        size, count = self.card.image_size, len(self.card.classes)
        expected = {"images": [size, size, 3], "probabilities": [count], "score": [], "unknown": []}
        if {name: shape[1:] for name, shape in shapes.items()} != expected:
            raise CheckpointError(
                f"{graph}: does not fit its card ({count} classes, {size} pixels); export them together"
            )

    def predict(self, images: Sequence[bytes | Path | Image]) -> Predictions:
        """Decide on images, in batches.

        Args:
            images: encoded bytes, files, or Pillow images.
        Raises:
            DataError: an image is damaged, too large or of an unknown format; it is named by its path or position.
        """
        import numpy as np

        size, count = self.card.image_size, len(self.card.classes)
        outputs: list[list[np.ndarray]] = []
        for start in range(0, len(images), BATCH):
            chunk = images[start : start + BATCH]
            pixels = np.stack([self._pixels(image, start + number) for number, image in enumerate(chunk)])
            outputs.append(self.predict_pixels(pixels))
        if not outputs:
            outputs.append(self.predict_pixels(np.zeros((1, size, size, 3), np.uint8)))
            outputs = [[part[:0] for part in outputs[0]]]
        probabilities, score, unknown = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
        return Predictions(self.card.classes, probabilities.reshape(-1, count), score, unknown)

    def predict_pixels(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Probabilities (B, C), score (B,) and unknown (B,) of images (B, S, S, 3) uint8, already cropped to size."""
        return list(self.session.run(["probabilities", "score", "unknown"], {"images": pixels}))

    def _pixels(self, image: bytes | Path | Image, number: int) -> np.ndarray:
        name = str(image) if isinstance(image, Path) else f"image {number}"
        if isinstance(image, bytes | Path):
            size = len(image) if isinstance(image, bytes) else _file_bytes(image)
            if size > self._max_bytes:
                raise DataError(f"{name}: {size} bytes, more than the allowed {self._max_bytes}")
            return centre_square(open_rgb(image, max_pixels=self._max_pixels, name=name), self.card.image_size)
        from PIL import Image, ImageOps

        if not isinstance(image, Image.Image):
            raise DataError(f"{name}: expected bytes, a path or a Pillow image, found {type(image).__name__}")
        check_size(image, max_pixels=self._max_pixels, name=name)
        try:
            rgb = to_rgb(ImageOps.exif_transpose(image))
        except Exception as error:  # a lazily opened file is decoded here, and decoders raise anything
            raise DataError(f"{name}: damaged image: {' '.join(str(error).split()) or type(error).__name__}") from None
        return centre_square(rgb, self.card.image_size)


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        raise DataError(f"{path}: no such file") from None
