"""Request bodies: read in pieces under limits of bytes, time and memory, then parsed without trust."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from pipeline.service.refusals import RefusalError, busy
from pipeline.service.settings import Settings

FIELD = b"images"
_MAX_BRACKETS = 500_000
_MAX_COMMAS = 2_000_000
"""Small values of JSON take up to 70 bytes each in memory; these bounds keep that below 150 MB."""


class Bodies:
    """Reads bodies; knows how many bytes all of them hold together.

    Args:
        settings: max_bytes, max_held and timeout count.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._held = settings, 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body, which counts as held until the block ends.

        Raises:
            RefusalError: 413 too large (before it is read whole), 408 too slow, 503 too many bodies at one time,
                415 compressed.
        """
        if request.headers.get("content-encoding", "identity") != "identity":
            raise RefusalError(415, "content-encoding: compressed bodies are not read; send the body as it is")
        declared = request.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > self._settings.max_bytes:
            raise self._too_large()
        pieces: list[bytes] = []
        try:
            await self._collect(request, pieces)
            yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
        finally:
            self._held -= sum(map(len, pieces))

    async def _collect(self, request: Request, pieces: list[bytes]) -> None:
        """Append the body's pieces; those that are appended count as held."""
        taken = 0
        try:
            async with asyncio.timeout(self._settings.timeout):
                async for piece in request.stream():
                    taken += len(piece)
                    if taken > self._settings.max_bytes:
                        raise self._too_large()
                    if self._held + len(piece) > self._settings.max_held:
                        raise busy("other requests hold the memory for bodies; try again later")
                    self._held += len(piece)
                    pieces.append(piece)
        except TimeoutError:
            message = f"the body did not arrive within {self._settings.timeout:g} seconds"
            raise RefusalError(408, message, {"Connection": "close"}) from None
        except ClientDisconnect:
            raise RefusalError(400, "the body ended early") from None

    def _too_large(self) -> RefusalError:
        message = f"the body is larger than {self._settings.max_bytes} bytes; send fewer or smaller images"
        return RefusalError(413, message)


def parse_json(content: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RefusalError: 400: it is not JSON, not an object, nested too deeply, or has too many values.
    """
    if content.count(b"[") + content.count(b"{") > _MAX_BRACKETS or content.count(b",") > _MAX_COMMAS:
        raise RefusalError(400, "body: too many values for JSON; send base64 text or binary data")
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        raise RefusalError(400, "body: JSON is nested too deeply") from None
    except ValueError as error:  # also bytes that are no Unicode text, and numbers with thousands of digits
        raise RefusalError(400, f"body: not valid JSON: {' '.join(str(error).split())[:120]}") from None
    if not isinstance(value, dict):
        raise RefusalError(400, f"body: expected a JSON object, found {type(value).__name__}")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def parse_form(content: bytes, content_type: str, max_parts: int) -> list[bytes]:
    """The contents of the parts called FIELD, in order; file names and types do not count.

    Args:
        content: of a body of multipart/form-data.
        content_type: its header, with the boundary.
        max_parts: how many are allowed.
    Raises:
        RefusalError: 400, it is damaged, or has other or too many parts.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= 200:
        raise RefusalError(400, "content-type: expected multipart/form-data with a boundary")
    parts: list[list[bytes]] = []
    field, value = bytearray(), bytearray()
    named: list[bytes] = []
    ended = False

    def begin() -> None:
        if len(parts) >= max_parts:
            raise RefusalError(400, f"images: more than the {max_parts} of one request; send several requests")
        parts.append([])

    def header() -> None:
        if field.lower() == b"content-disposition":
            options = parse_options_header(bytes(value))[1]
            named.append(options.get(b"name", b"") if b"filename" in options else b"")  # a text is no file
        field.clear()
        value.clear()

    def data(piece: bytes, start: int, end: int) -> None:
        parts[-1].append(piece[start:end])

    def end() -> None:
        nonlocal ended
        ended = True

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": begin,
                "on_header_field": lambda piece, start, end: field.extend(piece[start:end]),
                "on_header_value": lambda piece, start, end: value.extend(piece[start:end]),
                "on_header_end": header,
                "on_part_data": data,
                "on_end": end,
            },
        )
        parser.write(content)
        parser.finalize()
    except FormParserError as error:
        raise RefusalError(400, f"body: damaged form: {' '.join(str(error).split())[:120]}") from None
    if not ended:
        raise RefusalError(400, "body: damaged form: it has no end")
    if not parts or named != [FIELD] * len(parts):
        raise RefusalError(400, "body: expected one file called images for each image, and nothing else")
    return [b"".join(pieces) for pieces in parts]
