"""One value of a request's column `image` as an encoded image, or what to send in its place."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Any

from pipeline.errors import DataError
from pipeline.images.formats import HEAD, format_of

_SEND = "send the file's content: open(path, 'rb').read(), or its base64 text"
_LONGEST_PATH = 4096  # characters


def image_bytes(value: Any, name: str) -> bytes:
    """The encoded image that a value holds.

    Args:
        value: bytes, or base64 text, perhaps as a data URL.
        name: in errors.
    Raises:
        DataError: it is anything else; for a path, a Pillow image or an array the error says what to send.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, os.PathLike):
        raise DataError(f"{name}: a path, which a server cannot read; {_SEND}")
    if isinstance(value, str):
        return _decoded(value, name)
    kind = type(value)
    if any(base.__module__.startswith("PIL.") for base in kind.__mro__):
        raise DataError(
            f"{name}: a Pillow image; send an encoded one: stream = io.BytesIO(); image.save(stream, 'PNG'); "
            "stream.getvalue()"
        )
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        raise DataError(
            f"{name}: an array; send an encoded image: stream = io.BytesIO(); PIL.Image.fromarray(array).save(stream, "
            "'PNG'); stream.getvalue()"
        )
    raise DataError(f"{name}: expected bytes or base64 text, found {kind.__name__}")


def _decoded(text: str, name: str) -> bytes:
    content = text.partition(",")[2] if text.startswith("data:") else text
    try:
        image = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        image = b""
    # A path can be valid base64 by chance, but not that of an image.
    if not format_of(image[:HEAD]) and 0 < len(text) <= _LONGEST_PATH and not text.startswith("data:"):
        raise DataError(f"{name}: {text[:60]!r} is neither base64 text of an image nor bytes; if it is a path, {_SEND}")
    if not image:
        raise DataError(f"{name}: not valid base64")
    return image
