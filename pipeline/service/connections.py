"""uvicorn's HTTP connections with limits that it lacks: on the head of a request, in bytes and in seconds."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 65_536  # bytes of a request's line and headers


def limited(seconds: float) -> type[asyncio.Protocol]:
    """A protocol class whose connections end if a head, or the rest of a refused body, takes more than `seconds`."""

    class Connection(HttpToolsProtocol):
        """One client's connection."""

        _late: asyncio.TimerHandle | None = None
        _head = 0
        _whole = True

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._arrived()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            self._head, self._whole = 0, False
            self._wait()
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            self._count(url)
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(name, value)
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._arrived()
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._whole = True
            self._arrived()
            super().on_message_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self._whole:  # it was refused before its body had come
                self._wait()

        def _count(self, *parts: bytes) -> None:
            self._head += sum(map(len, parts))
            if self._head > MAX_HEAD:
                raise ValueError("the head of the request is too large")  # the parser reports it: 400

        def _wait(self) -> None:
            self._arrived()
            self._late = self.loop.call_later(seconds, self._end)

        def _end(self) -> None:
            if self.transport is not None and not self.transport.is_closing():
                self.transport.close()

        def _arrived(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Connection
