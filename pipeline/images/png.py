"""PNG files whose metadata are larger than Pillow reads: the pixels are good, so the metadata are left out.

Pillow limits what it decompresses, and refuses the whole file beyond the limit. Photo editors write colour profiles of
several megabytes, and image generators their prompts.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MAGIC = b"\x89PNG\r\n\x1a\n"
_PROFILE = b"iCCP"  # never used: pixels are taken as they are
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ROTATIONS = (b"XML:com.adobe.xmp", b"Raw profile type exif", b"Raw profile type APP1", b"exif")
"""Keywords of texts in which Pillow looks for the orientation."""

_MAX_TEXT = 2**20  # bytes, decompressed; Pillow's own limit


def without_metadata(content: bytes) -> bytes:
    """A PNG without its colour profile and texts, but for the first small text of each kind that may hold a rotation.

    Args:
        content: of the file. From the first chunk that is cut off, or longer than the file, it is left as it is, for
            the decoder to judge.
    """
    parts, kept, start = [MAGIC], set[bytes](), len(MAGIC)
    for kind, begin, end in _chunks(content):
        data = content[begin + 8 : end - 4]
        if kind in _TEXTS and (keyword := data[:80].partition(b"\0")[0]) in _ROTATIONS and keyword not in kept:
            keep = _is_small(kind, data)
            kept.add(keyword)
        else:
            keep = kind != _PROFILE and kind not in _TEXTS
        if keep:
            parts.append(content[begin:end])
        start = end
    return content if start == len(MAGIC) else b"".join([*parts, content[start:]])


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, begin, end) of each whole chunk: 4 bytes of length, 4 of kind, the data, 4 of checksum."""
    begin = len(MAGIC)
    while begin + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, begin)
        end = begin + 12 + length
        if end > len(content):
            return
        yield kind, begin, end
        if kind == b"IEND":
            return
        begin = end


def _is_small(kind: bytes, data: bytes) -> bool:
    if len(data) > _MAX_TEXT:
        return False
    rest = data.partition(b"\0")[2]
    if kind == b"zTXt":
        packed = rest[1:]
    elif kind == b"iTXt" and rest[:1] not in (b"", b"\0"):
        packed = rest[2:].split(b"\0", 2)[-1]  # behind the language and the translated keyword
    else:
        return True
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed, _MAX_TEXT)
    except zlib.error:
        return False
    return not unpacker.unconsumed_tail
