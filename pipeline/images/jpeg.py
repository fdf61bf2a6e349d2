"""JPEG files that lack their end marker: is the picture whole all the same?

libjpeg fills what is missing with grey and only warns, and Pillow does not hand the warning on. So the file is
completed in several ways that no decoder can read alike if it needs even one more bit. Where all give the same pixels,
nothing of the picture was missing.
"""

from __future__ import annotations

import re
import struct

MAGIC = b"\xff\xd8\xff"
END = b"\xff\xd9"

_BITS = (b"\x00", b"\x55", b"\xaa", b"\xfe")
"""Bytes that begin with other bits: a prefix code reads another symbol from a 0 than from a 1."""

_LENGTH = 4096
"""Bytes: more than ten blocks of 64 coefficients can need. A block that meets the marker half-way would be dropped."""

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # but for stuffed bytes, padding and restarts
_SCAN = 0xDA
_PROGRESSIVE = (0xC2, 0xCA)
_RESTARTS = 8  # RST0 to RST7, of which a file that is cut between two intervals expects one


def may_lack_end(content: bytes) -> bool:
    """Whether it is a JPEG whose last bytes are no end marker; other data may follow the marker."""
    return content.startswith(MAGIC) and not content.endswith(END)


def has_no_end(content: bytes) -> bool:
    """Whether it is a JPEG without any end marker behind the beginning of its data; some are decoded all the same."""
    return may_lack_end(content) and END not in content[content.find(b"\xff\xda") :]


def completions(content: bytes) -> list[bytes]:
    """The file with its end marker, and the same with other data before the marker.

    Args:
        content: of a JPEG without its end; a last 0xFF may be half of the end marker or of the data, and is dropped.
    Returns:
        At least two files; none for a progressive file in which scans are missing.
    """
    if not _has_all_scans(content):
        return []
    whole = content.removesuffix(b"\xff")
    fills = [bits * _LENGTH for bits in _BITS]
    restarts = [
        b"".join(b"\xff" + bytes([0xD0 + number]) + bits * _LENGTH for number in range(_RESTARTS))
        for bits in _BITS[1:3]
    ]
    return [whole + fill + END for fill in (b"", *fills, *restarts)]


def _has_all_scans(content: bytes) -> bool:
    """Whether a progressive file refines all coefficients of all components to their last bit; True for other files."""
    expected = 0  # components of a progressive file
    left: dict[int, list[int]] = {}  # component to the bits that are missing of each of its 64 coefficients
    position = len(MAGIC) - 1
    while match := _MARKER.search(content, position):
        kind, position = content[match.start() + 1], match.end()
        if kind == 0xD8 or position + 2 > len(content):
            continue
        (length,) = struct.unpack_from(">H", content, position)
        segment = content[position + 2 : position + length]
        if kind in _PROGRESSIVE and len(segment) > 5:
            expected = segment[5]
        elif kind == _SCAN and expected and segment and len(segment) == 2 * segment[0] + 4:
            first, last, bits = segment[-3], segment[-2], segment[-1] & 15
            for component in segment[1:-3:2]:
                left.setdefault(component, [14] * 64)[first : last + 1] = [bits] * (last - first + 1)
        position += length
    return len(left) == expected and not any(any(bits) for bits in left.values())
