"""Whether the server runs, and whether a model has answered: for monitors, and for clients of the protocol."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from starlette.responses import Response

from pipeline.service import schemas
from pipeline.service.answers import json_response
from pipeline.service.following import Served


def add_health(routes: FastAPI | APIRouter, served: Served, *, live: str, ready: str) -> None:
    """Add both routes.

    Args:
        routes: that get them.
        served: 503 at `ready` until its first model has answered.
        live, ready: their paths.
    """

    @routes.get(live, name=_last(live), summary="Whether the server runs", responses=schemas.answers(schemas.Live))
    async def is_live() -> Response:
        return json_response({"live": True})

    @routes.get(
        ready, name=_last(ready), summary="Whether a model has answered", responses=schemas.answers(schemas.Ready, 503)
    )
    async def is_ready() -> Response:
        _ = served.current
        return json_response({"ready": True})


def _last(path: str) -> str:
    return path.rpartition("/")[2]
