"""PNG files with large metadata are good files: the pixels come out the same, and memory stays bounded."""

from __future__ import annotations

import io
import resource
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.errors import DataError
from pipeline.images import check_whole, decode, open_rgb
from pipeline.images.png import MAGIC, without_metadata

LIMIT = 1_000_000
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
MANY = 3 * 2**20  # bytes; Pillow reads 2**20


def encoded(image: Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(stream, "PNG", **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def put(content: bytes, new: bytes, *, before: bytes) -> bytes:
    """A chunk before the first one of a kind."""
    at = content.index(before) - 4
    return content[:at] + new + content[at:]


def text(compressed: bool, international: bool) -> PngInfo:
    info = PngInfo()
    add = info.add_itxt if international else info.add_text
    add("parameters", "x" * MANY, zip=compressed)
    return info


LARGE = {
    "profile": lambda: encoded(icc_profile=bytes(MANY)),
    "text": lambda: encoded(pnginfo=text(False, False)),
    "compressed text": lambda: encoded(pnginfo=text(True, False)),
    "international text": lambda: encoded(pnginfo=text(False, True)),
    "compressed international text": lambda: encoded(pnginfo=text(True, True)),
    "text behind the pixels": lambda: put(
        encoded(), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(MANY))), before=b"IEND"
    ),
    "70 MB of texts": lambda: put(
        encoded(), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20))) * 70, before=b"IDAT"
    ),
    "large metadata of Adobe": lambda: put(
        encoded(), chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(MANY))), before=b"IDAT"
    ),
    "text that is cut": lambda: put(encoded(), chunk(b"zTXt", b"a\0\0\x78\x9c"), before=b"IDAT"),
}


@pytest.mark.parametrize("kind", LARGE)
def test_the_pixels_are_read_and_the_chunk_is_passed_over(kind: str) -> None:
    content = LARGE[kind]()
    image = decode(content, max_pixels=LIMIT, name="x.png")
    check_whole(content, name="x.png")
    assert np.array_equal(np.asarray(image.rgb), PIXELS)
    assert (image.format, image.defect) == ("PNG", "")


def test_metadata_that_unpack_to_gigabytes_take_no_memory() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(1024)) + packer.flush()  # 1 GiB in 1 MB
    content = put(encoded(), chunk(b"iCCP", b"a\0\0" + bomb), before=b"IDAT")
    content = put(content, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb), before=b"IDAT")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert open_rgb(content, max_pixels=LIMIT).size == (30, 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_rotation_in_metadata_still_counts() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    content = put(encoded(), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp), before=b"IDAT")
    assert open_rgb(content, max_pixels=LIMIT).size == (20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_rgb(encoded(exif=exif), max_pixels=LIMIT).size == (20, 30)


def test_what_changes_pixels_stays() -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([9, 9, 9] * 256)
    content = encoded(palette, transparency=0, icc_profile=bytes(MANY))
    assert open_rgb(content, max_pixels=LIMIT).getpixel((0, 0)) == (255, 255, 255)


def test_a_file_without_metadata_is_not_changed() -> None:
    assert without_metadata(encoded()) == encoded()
    assert without_metadata(MAGIC) == MAGIC


@pytest.mark.parametrize("lost", [12, 30])
def test_a_cut_file_is_refused_all_the_same(lost: int) -> None:
    content = encoded(icc_profile=bytes(MANY))[:-lost]
    with pytest.raises(DataError, match=r"x\.png: damaged image"):
        check_whole(content, name="x.png")


def test_a_wrong_checksum_of_pixels_is_refused() -> None:
    content = bytearray(encoded())
    content[content.index(b"IEND") - 5] ^= 1  # the last byte of the checksum of IDAT
    with pytest.raises(DataError, match=r"x\.png: damaged image: .*checksum"):
        check_whole(bytes(content), name="x.png")
