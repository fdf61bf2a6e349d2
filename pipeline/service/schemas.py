"""What OpenAPI says of bodies and answers; the routes read bodies themselves, under their limits."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Error(BaseModel):
    """Every answer that is no success."""

    error: str


class ClassProbability(BaseModel):
    """An entry of `top`."""

    class_: str = Field(alias="class")
    probability: float


class Prediction(BaseModel):
    """One image's answer; with an error, everything else is null."""

    label: str | None = Field(description="A class, or `unknown`.")
    class_: str | None = Field(alias="class", description="The most probable class, whether or not it is unknown.")
    probability: float | None = Field(description="Of that class.")
    score: float | None = Field(description="The open-set score; larger means more likely unknown.")
    threshold: float | None = Field(description="The image is unknown when its score is larger.")
    unknown: bool | None
    top: list[ClassProbability] | None
    error: str | None = Field(description="Why this image has no answer.")
    embedding: list[float] | None = Field(None, description="On request, where the graph offers it.")


class Predictions(BaseModel):
    """The answer of /predict."""

    model: str
    version: str
    request: str
    predictions: list[Prediction]


class ModelFacts(BaseModel):
    """What is served."""

    name: str
    version: str
    alias: str | None
    classes: list[str]
    image_size: int
    threshold: float
    device: str
    embedding: bool
    graph_sha256: str
    card: dict[str, Any] = Field(description="What the card says of method, backbone, score and hashes of inputs.")
    trouble: str | None = Field(description="Why a newer version is not served.")


class Live(BaseModel):
    """The server runs."""

    live: bool


class Ready(BaseModel):
    """A model has answered."""

    ready: bool


class ModelReady(BaseModel):
    """This model has answered."""

    name: str
    ready: bool


class ServerMetadata(BaseModel):
    """Of the Open Inference Protocol."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """A tensor without its data."""

    name: str
    datatype: str
    shape: list[int]


class InputMetadata(TensorMetadata):
    """Of an input; `also` in its parameters is another type and shape that it may have."""

    parameters: dict[str, str]


class ModelMetadata(BaseModel):
    """Of the Open Inference Protocol."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[InputMetadata]
    outputs: list[TensorMetadata]


class Tensor(TensorMetadata):
    """A tensor of an answer."""

    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class Inference(BaseModel):
    """The answer of infer."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Tensor]


_REASONS = {
    400: "The body is wrong.",
    401: "The token is missing or wrong.",
    404: "There is no such model or version.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The type or encoding of the body is not supported.",
    422: "A parameter is wrong.",
    503: "Not now: no model is loaded, the queue is full, or the answer took too long. Try again after Retry-After.",
}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
_BODY = (400, 401, 408, 413, 415, 503)

Responses = dict[int | str, dict[str, Any]]


def answers(model: type[BaseModel], *errors: int) -> Responses:
    """`responses` of a route: its success, and the errors that it can give."""
    found: Responses = {200: {"model": model, "description": "Success."}}
    for status in errors:
        found[status] = {"model": Error, "description": _REASONS[status]}
        if status == 503:
            found[status]["headers"] = _RETRY
    return found


_ENCODED = {"type": "string", "description": "Base64 text of an encoded image; a data URL is one too."}
_FILE = {"type": "string", "format": "binary"}


def predict(max_images: int) -> dict[str, Any]:
    """What OpenAPI says of /predict, by keyword of its route."""
    return {
        "summary": "Decide on images",
        "responses": answers(Predictions, *_BODY, 422),
        "openapi_extra": _requested(
            {
                "multipart/form-data": _images(_FILE, max_images),
                "application/json": _images(_ENCODED, max_images),
                "application/octet-stream": _FILE,
            }
        ),
    }


def _images(item: dict[str, Any], most: int) -> dict[str, Any]:
    images = {"type": "array", "minItems": 1, "maxItems": most, "items": item}
    return {"type": "object", "required": ["images"], "additionalProperties": False, "properties": {"images": images}}


def _requested(schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    content = {kind: {"schema": schema} for kind, schema in schemas.items()}
    return {"requestBody": {"required": True, "content": content}}


_ASKED_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"type": "string", "enum": ["images"]},
        "datatype": {"type": "string", "enum": ["BYTES", "UINT8"]},
        "shape": {"type": "array", "minItems": 1, "maxItems": 4, "items": {"type": "integer", "minimum": 1}},
        "parameters": {"type": "object"},
        "data": {"type": "array", "items": {}},
    },
}

_ASKED_OUTPUT = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
}
_ASKED = {
    "type": "object",
    "required": ["inputs"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": _ASKED_TENSOR},
        "outputs": {"type": "array", "items": _ASKED_OUTPUT},
    },
}
INFER: dict[str, Any] = {
    "summary": "Decide on images",
    "responses": answers(Inference, *_BODY, 404),
    "openapi_extra": _requested({"application/json": _ASKED, "application/octet-stream": _FILE}),
}
"""What OpenAPI says of infer."""
