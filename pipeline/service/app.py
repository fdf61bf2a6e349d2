"""The application: routes, and how errors are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pipeline.service import schemas
from pipeline.service.answers import error_response, json_response, predictions
from pipeline.service.bodies import parse_form, parse_json
from pipeline.service.context import Context
from pipeline.service.gate import Gate
from pipeline.service.health import add_health
from pipeline.service.metrics import CONTENT_TYPE
from pipeline.service.page import CONTENT, POLICY
from pipeline.service.protocol import protocol_routes
from pipeline.service.refusals import RefusalError

_MOST_CLASSES = 1000


def make_app(context: Context, token: str, started: Callable[[BaseException | None], None]) -> Gate:
    """The ASGI application.

    Args:
        context: the server's parts; the application starts and ends them.
        token: that requests must carry; "" for none.
        started: is called once the first model has answered, or with the error of its loading.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_load(context, started))  # health is answered meanwhile
        yield
        loading.cancel()
        await context.served.stop()
        context.deciding.close()
        if context.log is not None:
            await asyncio.to_thread(context.log.close)

    app = FastAPI(
        title="croft serve",
        description="Decides what an image shows, or that it is unknown.",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts of other servers
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_exception_handler(RefusalError, _refused)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(RequestValidationError, _wrong_parameter)
    _health_routes(app, context)
    _predict_route(app, context)
    app.include_router(protocol_routes(context))
    return Gate(app, context.served, context.metrics, token)


async def _load(context: Context, started: Callable[[BaseException | None], None]) -> None:
    try:
        await context.served.start()
    except Exception as error:
        started(error)
    else:
        started(None)


def _health_routes(app: FastAPI, context: Context) -> None:
    add_health(app, context.served, live="/healthz", ready="/readyz")

    @app.get("/model", summary="What is served", responses=schemas.answers(schemas.ModelFacts, 401, 503))
    async def model(request: Request) -> Response:
        current = request.state.model = context.served.current
        return json_response({**current.facts, "trouble": context.served.trouble})

    @app.get("/metrics", summary="Numbers for Prometheus", include_in_schema=False)
    async def metrics() -> Response:
        return Response(context.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(CONTENT, media_type="text/html", headers={"Content-Security-Policy": POLICY})


def _predict_route(app: FastAPI, context: Context) -> None:
    @app.post("/predict", **schemas.predict(context.settings.max_images))
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=0, le=_MOST_CLASSES, description="Classes to list for each image.")] = 5,
        embedding: Annotated[bool, Query(description="Also send (and log) the embedding, if there is one.")] = False,
    ) -> Response:
        """Files of a form, {"images": [base64 text, ...]}, or one image as the body. A bad image has an `error`."""
        model = request.state.model = context.served.current
        embedding = embedding and model.has_embedding
        with model.batcher.hold():
            async with context.bodies.read(request) as content:
                images = _images(content, request.headers.get("content-type", ""), context.settings.max_images)
                decisions = await context.decide(request, model, images, embedding=embedding)
        return json_response(predictions(model, request.state.request_id, decisions, top, embedding=embedding))


def _images(content: bytes, content_type: str, most: int) -> list[bytes] | list[str]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return parse_form(content, content_type, most)
    if kind == "application/json":
        asked = parse_json(content)
        images = asked.get("images")
        if set(asked) != {"images"} or not isinstance(images, list) or not images:
            raise RefusalError(400, 'body: expected {"images": [...]} with at least one base64 text')
        if not all(isinstance(image, str) for image in images):
            raise RefusalError(400, "images: expected base64 texts")
        return images
    if kind == "application/octet-stream" or kind.startswith("image/"):
        return [content]
    raise RefusalError(415, "content-type: expected multipart/form-data, application/json or application/octet-stream")


def _refused(request: Request, error: Exception) -> Response:
    return error_response(error if isinstance(error, RefusalError) else RefusalError(500, "internal error"))


def _not_found(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    message = {404: "no such path", 405: "this path does not have that method"}.get(error.status_code, error.detail)
    return error_response(RefusalError(error.status_code, str(message).lower(), dict(error.headers or {})))


def _wrong_parameter(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    first = problems[0] if problems else {"loc": ("parameters",), "msg": "not valid"}
    return error_response(RefusalError(422, f"{first['loc'][-1]}: {str(first['msg']).lower()}"))
