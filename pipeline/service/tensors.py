"""Tensors of the Open Inference Protocol, as JSON and as its binary extension, read without trust."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from pipeline.images.formats import HEAD, format_of
from pipeline.service.refusals import RefusalError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.service.deciding import Image

BYTES, UINT8, FP32, BOOL = "BYTES", "UINT8", "FP32", "BOOL"
HEADER = "Inference-Header-Content-Length"
_LENGTH = struct.Struct("<I")
_LONGEST_SIDE = 65_535  # pixels


def split_body(content: bytes, header: str | None) -> tuple[bytes, memoryview]:
    """The JSON part and the binary part of a body.

    Args:
        content: of the body.
        header: HEADER's value, the length of the JSON part; None for a body of JSON alone.
    Raises:
        RefusalError: 400, the header is wrong.
    """
    if header is None:
        return content, memoryview(b"")
    if not (header.isascii() and header.isdigit() and len(header) < 12) or int(header) > len(content):
        raise RefusalError(400, f"{HEADER}: expected the bytes of the JSON part, at most {len(content)}")
    return content[: int(header)], memoryview(content)[int(header) :]


def images_of(tensor: object, binary: memoryview) -> list[Image]:
    """The images of the input tensor.

    Args:
        tensor: one entry of `inputs`: BYTES of shape [N] (encoded images, in JSON their base64 text), or UINT8 of shape
            [N, H, W, 3].
        binary: the body's binary part, which belongs to this tensor alone.
    Raises:
        RefusalError: 400, naming the key.
    """
    if not isinstance(tensor, dict):
        raise RefusalError(400, "inputs: expected a list of objects")
    kind, shape = tensor.get("datatype"), _shape(tensor.get("shape"))
    parameters = _mapping(tensor.get("parameters"), "inputs.parameters")
    if any(key.startswith("shared_memory") for key in parameters):
        raise RefusalError(400, "inputs.parameters: shared memory is not supported; send the data")
    size = parameters.get("binary_data_size")
    if size is not None and ("data" in tensor or type(size) is not int or size != len(binary)):
        raise RefusalError(
            400, "inputs.parameters.binary_data_size: expected the bytes of the binary part, and no data"
        )
    if size is None and len(binary):
        raise RefusalError(400, "inputs.parameters.binary_data_size: missing, but the body has a binary part")
    if kind == BYTES and len(shape) == 1:
        return _texts(tensor.get("data"), shape[0]) if size is None else _elements(binary, shape[0])
    if kind == UINT8 and len(shape) == 4 and shape[3] == 3:
        return _arrays(_numbers(tensor.get("data"), shape) if size is None else binary, shape)
    raise RefusalError(400, f"inputs: expected {BYTES} of shape [N] or {UINT8} of shape [N, H, W, 3]")


def _shape(value: object) -> list[int]:
    if not isinstance(value, list) or not 1 <= len(value) <= 4 or not all(type(item) is int for item in value):
        raise RefusalError(400, "inputs.shape: expected a list of one or four whole numbers")
    if not all(1 <= item <= _LONGEST_SIDE for item in value):
        raise RefusalError(400, f"inputs.shape: expected numbers from 1 to {_LONGEST_SIDE}")
    return value


def _mapping(value: object, key: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusalError(400, f"{key}: expected an object")
    return value


def _texts(data: object, count: int) -> list[Image]:
    if not isinstance(data, list) or len(data) != count or not all(isinstance(item, str) for item in data):
        raise RefusalError(400, f"inputs.data: expected {count} base64 texts, as the shape says")
    return data


def _elements(binary: memoryview, count: int) -> list[Image]:
    """Each element is its length in 4 bytes, then its bytes: an encoded image, or its base64 text."""
    found: list[Image] = []
    place = 0
    while place + _LENGTH.size <= len(binary) and len(found) < count:
        (length,) = _LENGTH.unpack_from(binary, place)
        place += _LENGTH.size
        found.append(_encoded(bytes(binary[place : place + length])))
        place += length
    if place != len(binary) or len(found) != count:
        raise RefusalError(400, f"inputs: expected {count} elements in the binary part, as the shape says")
    return found


def _encoded(element: bytes) -> Image:
    return element if format_of(element[:HEAD]) or not element.isascii() else element.decode("ascii")


def _numbers(data: object, shape: Sequence[int]) -> bytes:
    """Flat or nested lists of numbers from 0 to 255."""
    flat: list[Any] = data if isinstance(data, list) else []
    for _ in shape[1:]:
        if flat and all(isinstance(item, list) for item in flat):
            flat = list(chain.from_iterable(flat))
    try:
        return bytes(flat)
    except (TypeError, ValueError):
        raise RefusalError(400, "inputs.data: expected whole numbers from 0 to 255") from None


def _arrays(content: bytes | memoryview, shape: Sequence[int]) -> list[Image]:
    import numpy as np

    if len(content) != math.prod(shape):
        raise RefusalError(400, f"inputs: expected {math.prod(shape)} numbers, as the shape says, found {len(content)}")
    return list(np.frombuffer(content, np.uint8).reshape(shape))


class Output:
    """A tensor of the answer.

    Args:
        name: of the tensor.
        kind: its datatype.
        values: (N,) or (N, D): texts for BYTES, else numbers or truth values.
        shape: of the tensor.
    """

    def __init__(self, name: str, kind: str, values: Sequence[str] | np.ndarray, shape: Sequence[int]) -> None:
        self._name, self._kind, self._values, self._shape = name, kind, values, list(shape)

    def render(self, *, binary: bool) -> tuple[dict[str, Any], bytes]:
        """Its entry of `outputs`, and its binary data (b"" in JSON)."""
        entry: dict[str, Any] = {"name": self._name, "datatype": self._kind, "shape": self._shape}
        if binary:
            data = self._raw()
            return {**entry, "parameters": {"binary_data_size": len(data)}}, data
        return {**entry, "data": self._flat()}, b""

    def _raw(self) -> bytes:
        import numpy as np

        if self._kind == BYTES:
            texts = [str(value).encode() for value in self._values]
            return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
        return np.asarray(self._values, np.float32 if self._kind == FP32 else np.bool_).tobytes()

    def _flat(self) -> list[Any]:
        import numpy as np

        return list(self._values) if self._kind == BYTES else np.asarray(self._values).ravel().tolist()


def wanted(outputs: object, offered: Sequence[str], default: Sequence[str], *, binary: bool) -> list[tuple[str, bool]]:
    """Names of the outputs to send, each with whether as binary data.

    Args:
        outputs: of the request, or None for all of `default`.
        offered: names that exist.
        default: names that are sent unless some are asked for.
        binary: of the request's parameter binary_data_output.
    Raises:
        RefusalError: 400, naming the key.
    """
    if outputs is None or outputs == []:
        return [(name, binary) for name in default]
    if not isinstance(outputs, list) or not all(isinstance(item, dict) for item in outputs):
        raise RefusalError(400, "outputs: expected a list of objects")
    found: dict[str, bool] = {}
    for item in outputs:
        name, parameters = item.get("name"), _mapping(item.get("parameters"), "outputs.parameters")
        if not isinstance(name, str) or name not in offered:
            raise RefusalError(400, f"outputs.name: expected some of {', '.join(offered)}")
        if name in found:
            raise RefusalError(400, f"outputs.name: {name} is listed twice")
        if "classification" in parameters or any(key.startswith("shared_memory") for key in parameters):
            raise RefusalError(400, "outputs.parameters: classification and shared memory are not supported")
        chosen = parameters.get("binary_data", binary)
        if not isinstance(chosen, bool):
            raise RefusalError(400, "outputs.parameters.binary_data: expected true or false")
        found[name] = chosen
    return list(found.items())
