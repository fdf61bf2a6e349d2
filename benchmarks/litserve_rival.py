"""The same graph behind LitServe, as its documentation shows it: `python -m benchmarks.litserve_rival FOLDER PORT`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np

from pipeline.serving.inputs import pixels_of
from pipeline.serving.predictor import MAX_BYTES, MAX_PIXELS, UNKNOWN, Predictor
from pipeline.serving.request import image_bytes


class Rival(litserve.LitAPI):
    """One image a request, {"images": [base64 text]}, batched by LitServe."""

    def setup(self, device: str) -> None:
        self.predictor = Predictor(Path(sys.argv[1]), device="cpu", spinning=False)

    def decode_request(self, request) -> np.ndarray:  # annotated, FastAPI would read it as a parameter
        content = image_bytes(request["images"][0], "image 0")
        size = self.predictor.card.image_size
        return pixels_of(content, size=size, name="image 0", max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS)

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, pixels: np.ndarray) -> list[np.ndarray]:
        return self.predictor.predict_pixels(pixels)

    def unbatch(self, output: list[np.ndarray]) -> list[tuple[Any, ...]]:
        return list(zip(*output, strict=True))

    def encode_response(self, output: tuple[Any, ...]) -> dict[str, Any]:
        probabilities, score, unknown = output
        classes = self.predictor.card.classes
        order = (-probabilities).argsort(kind="stable")[:5]
        listed = [{"class": classes[index], "probability": float(probabilities[index])} for index in order]
        answer = {"score": float(score), "unknown": bool(unknown), "threshold": self.predictor.card.threshold}
        return {"label": UNKNOWN if unknown else listed[0]["class"], **listed[0], **answer, "top": listed}


if __name__ == "__main__":
    server = litserve.LitServer(Rival(max_batch_size=32, batch_timeout=0.002), accelerator="cpu", timeout=120)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="error", generate_client_file=False)
