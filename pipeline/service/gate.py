"""What every request passes: its id, its token, the names on its answer, its time."""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.service.answers import error_response
from pipeline.service.following import Served
from pipeline.service.metrics import Metrics
from pipeline.service.refusals import RefusalError
from pipeline.service.token import allows

REQUEST_HEADER, MODEL_HEADER, VERSION_HEADER = "X-Request-Id", "X-Croft-Model", "X-Croft-Version"
OPEN = frozenset({"/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""Paths that need no token: they say nothing of the model or of images."""

logger = logging.getLogger("croft.serve")


class Gate:
    """Wraps the application.

    Args:
        app: what answers.
        served: whose version is named where a request has used no model.
        metrics: counts and times requests.
        token: that must be carried; "" for none.
    """

    def __init__(self, app: ASGIApp, served: Served, metrics: Metrics, token: str) -> None:
        self._app, self._served, self._metrics, self._token = app, served, metrics, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = uuid.uuid4().hex

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._name(MutableHeaders(scope=message), state)
            await send(message)

        try:
            if self._token and scope["path"] not in OPEN and not self._carried(scope):
                refusal = RefusalError(401, "authorization: expected `Bearer TOKEN`", {"WWW-Authenticate": "Bearer"})
                await error_response(refusal)(scope, receive, named)
            else:
                await self._app(scope, receive, named)
        except Exception:
            logger.exception("request %s failed", state["request_id"])
            if not status:
                message = f"internal error; the server's log has it under request {state['request_id']}"
                await error_response(RefusalError(500, message))(scope, receive, named)
        finally:
            route = getattr(scope.get("route"), "path", "other")  # never the path itself: there are too many
            self._metrics.requests.labels(route, status).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - started)

    def _carried(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and allows(self._token, given[0])

    def _name(self, headers: MutableHeaders, state: dict[str, Any]) -> None:
        headers[REQUEST_HEADER] = state["request_id"]
        headers["X-Content-Type-Options"] = "nosniff"
        model = state.get("model") or (self._served.current if self._served.ready else None)
        if model is not None:
            headers[MODEL_HEADER] = quote(model.source.name)
            headers[VERSION_HEADER] = model.source.version
