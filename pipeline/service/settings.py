"""What one server may use, as checked, frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import ParamsError
from pipeline.serving.predictor import MAX_BYTES, MAX_PIXELS

_HELD_BODIES = 8


@dataclass(frozen=True)
class Settings:
    """Limits and times of a server.

    Attributes:
        max_batch: images of one inference.
        max_delay: seconds that a batch waits for images which are still being decoded.
        queue: images that are admitted at one time, over all requests.
        timeout: seconds in which a body must have arrived, and then in which it must be answered.
        max_bytes: of one body, and of one encoded image.
        max_pixels: of one decoded image.
        max_images: of one request; no more than the queue.
        poll: seconds between two looks at the registry.
    """

    max_batch: int = 32
    max_delay: float = 0.002
    queue: int = 256
    timeout: float = 30.0
    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    max_images: int = 64
    poll: float = 2.0

    def __post_init__(self) -> None:
        for option, value, least in (
            ("--max-batch", self.max_batch, 1),
            ("--max-delay-ms", self.max_delay, 0),
            ("--queue", self.queue, 1),
            ("--timeout", self.timeout, 0.05),
            ("--max-bytes", self.max_bytes, 1),
            ("--max-pixels", self.max_pixels, 1),
            ("--poll", self.poll, 0.05),
        ):
            if not least <= value < float("inf"):
                raise ParamsError(f"{option}: expected a number of at least {least}, found {value}")
        object.__setattr__(self, "max_images", min(self.max_images, self.queue))

    @property
    def max_held(self) -> int:
        """Bytes that the bodies of all requests may hold together."""
        return _HELD_BODIES * self.max_bytes
