"""The Open Inference Protocol V2 over REST, as far as a classifier of images needs it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pipeline.service import schemas
from pipeline.service.answers import json_bytes, json_response
from pipeline.service.bodies import parse_json
from pipeline.service.context import Context
from pipeline.service.health import add_health
from pipeline.service.model import Decision, Model
from pipeline.service.refusals import RefusalError
from pipeline.service.tensors import BOOL, BYTES, FP32, HEADER, Output, images_of, split_body, wanted
from pipeline.serving.predictor import EMBEDDING

INPUT, ALSO = "images", "UINT8 [-1, -1, -1, 3]"
DEFAULT = ("label", "class", "probability", "score", "unknown", "probabilities")
_KEYS = frozenset({"id", "parameters", "inputs", "outputs"})


def protocol_routes(context: Context) -> APIRouter:
    """The routes below /v2."""
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    @routes.get("", summary="Name and version of the server", responses=schemas.answers(schemas.ServerMetadata, 401))
    async def server() -> Response:
        return json_response({"name": "croft", "version": _server_version(), "extensions": ["binary_tensor_data"]})

    add_health(routes, context.served, live="/health/live", ready="/health/ready")

    @routes.get("/models/{name}", responses=schemas.answers(schemas.ModelMetadata, 401, 404, 503))
    @routes.get("/models/{name}/versions/{version}", responses=schemas.answers(schemas.ModelMetadata, 401, 404, 503))
    async def metadata(name: str, version: str = "") -> Response:
        """What the model takes and gives."""
        return json_response(_metadata(_model(context, name, version)))

    @routes.get("/models/{name}/ready", responses=schemas.answers(schemas.ModelReady, 401, 404, 503))
    @routes.get("/models/{name}/versions/{version}/ready", responses=schemas.answers(schemas.ModelReady, 401, 404, 503))
    async def model_ready(name: str, version: str = "") -> Response:
        """Whether this model, or this version of it, is the one that answers."""
        model = _model(context, name, version)
        return json_response({"name": model.source.name, "ready": True})

    @routes.post("/models/{name}/infer", **schemas.INFER)
    @routes.post("/models/{name}/versions/{version}/infer", **schemas.INFER)
    async def infer(request: Request, name: str, version: str = "") -> Response:
        """Decide on images: one tensor `images`, BYTES of shape [N] or UINT8 of shape [N, H, W, 3]."""
        model = request.state.model = _model(context, name, version)
        with model.batcher.hold():
            async with context.bodies.read(request) as content:
                text, binary = split_body(content, request.headers.get(HEADER))
                asked = parse_json(text)
                images = images_of(_only_input(asked), binary)
                parameters = asked.get("parameters", {})
                if not isinstance(parameters, dict) or not isinstance(
                    parameters.get("binary_data_output", False), bool
                ):
                    raise RefusalError(400, "parameters: expected an object; binary_data_output is true or false")
                offered = (*DEFAULT, *([EMBEDDING] if model.has_embedding else []))
                all_binary = parameters.get("binary_data_output", False)
                chosen = wanted(asked.get("outputs"), offered, DEFAULT, binary=all_binary)
                embedding = any(output == EMBEDDING for output, _ in chosen)
                decisions = await context.decide(request, model, images, embedding=embedding)
        return _answer(model, asked.get("id"), _all_answered(decisions), chosen)

    return routes


def _server_version() -> str:
    try:
        return importlib.metadata.version("croft-pipeline")
    except importlib.metadata.PackageNotFoundError:  # run from its source, as in the container
        return "source"


def _model(context: Context, name: str, version: str) -> Model:
    model = context.served.current
    if name != model.source.name:
        raise RefusalError(404, f"no model of this name; this server has {model.source.name}")
    if version not in ("", model.source.version):
        raise RefusalError(404, f"no such version; this server has version {model.source.version} of {name}")
    return model


def _metadata(model: Model) -> dict[str, Any]:
    count, alike = len(model.classes), {"shape": [-1]}
    outputs = [
        {"name": "label", "datatype": BYTES, **alike},
        {"name": "class", "datatype": BYTES, **alike},
        {"name": "probability", "datatype": FP32, **alike},
        {"name": "score", "datatype": FP32, **alike},
        {"name": "unknown", "datatype": BOOL, **alike},
        {"name": "probabilities", "datatype": FP32, "shape": [-1, count]},
    ]
    if model.has_embedding:
        outputs.append({"name": EMBEDDING, "datatype": FP32, "shape": [-1, -1]})
    return {
        "name": model.source.name,
        "versions": [model.source.version],
        "platform": "onnxruntime_onnx",
        # A tensor has one type in the protocol, and two of one name would be two inputs to a client; so the other type
        # is a parameter, which clients show and otherwise pass over.
        "inputs": [{"name": INPUT, "datatype": BYTES, "shape": [-1], "parameters": {"also": ALSO}}],
        "outputs": outputs,
    }


def _only_input(asked: dict[str, Any]) -> object:
    if unknown := sorted(set(asked) - _KEYS):
        raise RefusalError(400, f"body: unknown key {unknown[0][:60]!r}; expected {', '.join(sorted(_KEYS))}")
    if not isinstance(asked.get("id", ""), str):
        raise RefusalError(400, "id: expected a text")
    inputs = asked.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise RefusalError(400, "inputs: expected a list of one tensor")
    if not isinstance(inputs[0], dict) or inputs[0].get("name") != INPUT:
        raise RefusalError(400, f"inputs: expected a tensor called {INPUT}")
    return inputs[0]


def _all_answered(decisions: Sequence[Decision | str]) -> list[Decision]:
    for decision in decisions:
        if isinstance(decision, str):  # the protocol has no answer for some images only
            raise RefusalError(400, decision)
    return [decision for decision in decisions if not isinstance(decision, str)]


def _answer(model: Model, id_: str | None, decisions: list[Decision], chosen: list[tuple[str, bool]]) -> Response:
    rendered = [_output(model, name, decisions).render(binary=binary) for name, binary in chosen]
    answer: dict[str, Any] = {"model_name": model.source.name, "model_version": model.source.version}
    if id_ is not None:
        answer["id"] = id_
    answer["outputs"] = [entry for entry, _ in rendered]
    text = json_bytes(answer)
    if not any(binary for _, binary in chosen):
        return Response(text, media_type="application/json")
    body = b"".join([text, *(data for _, data in rendered)])
    return Response(body, 200, {HEADER: str(len(text))}, "application/octet-stream")


def _output(model: Model, name: str, decisions: list[Decision]) -> Output:
    import numpy as np

    count = len(decisions)
    probabilities = np.stack([decision.probabilities for decision in decisions])
    if name == "label":
        return Output(name, BYTES, [model.label(decision) for decision in decisions], [count])
    if name == "class":
        return Output(name, BYTES, [model.classes[index] for index in probabilities.argmax(axis=1)], [count])
    if name == "probability":
        return Output(name, FP32, probabilities.max(axis=1), [count])
    if name == "score":
        return Output(name, FP32, np.array([decision.score for decision in decisions], np.float32), [count])
    if name == "unknown":
        return Output(name, BOOL, np.array([decision.unknown for decision in decisions]), [count])
    if name == "probabilities":
        return Output(name, FP32, probabilities, probabilities.shape)
    vectors = np.stack([decision.embedding for decision in decisions if decision.embedding is not None])
    return Output(name, FP32, vectors, vectors.shape)
