"""What a request's column may hold; in every other case the error says what to send."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.serving.request import image_bytes

STREAM = io.BytesIO()
PICTURE = Image.new("RGB", (9, 9), "red")
PICTURE.save(STREAM, "PNG")
PNG = STREAM.getvalue()
TEXT = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    "value",
    [PNG, bytearray(PNG), memoryview(PNG), TEXT, f"data:image/png;base64,{TEXT}", f"{TEXT[:40]}\n{TEXT[40:]}\n"],
    ids=["bytes", "bytearray", "memoryview", "base64", "data URL", "base64 in lines"],
)
def test_bytes_and_base64_are_images(value: Any) -> None:
    assert image_bytes(value, "image 0") == PNG


CONTENT = r"send the file's content: open\(path, 'rb'\)\.read\(\), or its base64 text$"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Path("photo.png"), f"a path, which a server cannot read; {CONTENT}"),
        ("photos/cat.png", f"'photos/cat.png' is neither .*; if it is a path, {CONTENT}"),
        ("data/cats", f"'data/cats' is neither .*; if it is a path, {CONTENT}"),
        ("data/cat", f"'data/cat' is neither .*; if it is a path, {CONTENT}"),  # valid base64
        (PICTURE, r"a Pillow image; send .* image\.save\(stream, 'PNG'\); stream\.getvalue\(\)$"),
        (np.zeros((9, 9, 3), np.uint8), r"an array; send .* PIL\.Image\.fromarray\(array\)\.save\(stream, 'PNG'\)"),
        ("data:image/png;base64,???", "not valid base64$"),
        ("?" * 5000, "not valid base64$"),
        ("", "not valid base64$"),
        (None, "expected bytes or base64 text, found NoneType$"),
        (3.5, "expected bytes or base64 text, found float$"),
    ],
)
def test_anything_else_says_what_to_send(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^image 3: {message}"):
        image_bytes(value, "image 3")
