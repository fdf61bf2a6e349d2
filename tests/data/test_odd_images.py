"""Odd images are taken as what they show, bad ones are refused by name, and clean ones never are."""

from __future__ import annotations

import os
import random
import resource
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.manifest import Inventory, build_manifest
from pipeline.errors import DataError
from pipeline.images import readable
from pipeline.params import Data

SIZE = (40, 20)


def build(root: Path, *, skip: bool = False, min_side: int = 16) -> Inventory:
    return build_manifest(
        Data(root=str(root), min_side=min_side, max_pixels=10_000, workers=2, on_bad_image="skip" if skip else "fail")
    )


def noise(mode: str = "RGB", seed: int = 0, size: tuple[int, int] = SIZE) -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0], bands) if bands > 1 else (size[1], size[0])
    return Image.frombytes(mode, size, np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8).tobytes())


def save(path: Path, image: Image.Image | None = None, format_: str | None = None, **options: object) -> None:
    readable()  # registers the encoder of HEIC
    (image or noise()).save(path, format_, **options)


def wide(dtype: str) -> Image.Image:
    return Image.fromarray((np.random.default_rng(0).random(SIZE[::-1]) * 60_000).astype(dtype))


def palette(path: Path) -> None:
    image = noise("L").convert("P")
    save(path, image, transparency=bytes(range(256)))


def rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    save(path, exif=exif)


def animated(path: Path, format_: str | None = None) -> None:
    save(path, noise(seed=1), format_, save_all=True, append_images=[noise(seed=2)])


# how it is written; mode, format, width and height in the manifest
ODD: dict[str, tuple[str, Callable[[Path], object], tuple[str, str, int, int]]] = {
    "PNG called JPEG": ("x.jpg", lambda p: save(p, format_="PNG"), ("RGB", "PNG", 40, 20)),
    "capital suffix": ("x.JPEG", save, ("RGB", "JPEG", 40, 20)),
    "CMYK": ("x.jpg", lambda p: save(p, noise("CMYK")), ("CMYK", "JPEG", 40, 20)),
    "16 bits": ("x.png", lambda p: save(p, wide("uint16")), ("I;16", "PNG", 40, 20)),
    "32 bits": ("x.tif", lambda p: save(p, wide("int32")), ("I", "TIFF", 40, 20)),
    "LAB": ("x.tif", lambda p: save(p, noise("LAB")), ("LAB", "TIFF", 40, 20)),
    "one bit": ("x.bmp", lambda p: save(p, noise("L").convert("1")), ("1", "BMP", 40, 20)),
    "transparent": ("x.webp", lambda p: save(p, noise("RGBA"), lossless=True), ("RGBA", "WEBP", 40, 20)),
    "transparent palette": ("x.png", palette, ("P", "PNG", 40, 20)),
    "rotated": ("x.jpg", rotated, ("RGB", "JPEG", 20, 40)),
    "broken EXIF": ("x.jpg", lambda p: save(p, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12"), ("RGB", "JPEG", 40, 20)),
    "animated PNG": ("x.png", animated, ("RGB", "PNG", 40, 20)),
    "animated WebP": ("x.webp", animated, ("RGB", "WEBP", 40, 20)),
    "pages": ("x.tiff", animated, ("RGB", "TIFF", 40, 20)),
    "several pictures": ("x.jpg", lambda p: animated(p, "MPO"), ("RGB", "JPEG", 40, 20)),
    "GIF": ("x.gif", save, ("P", "GIF", 40, 20)),
    "GIF called PNG": ("x.png", lambda p: save(p, format_="GIF"), ("P", "GIF", 40, 20)),
    "AVIF": ("x.avif", save, ("RGB", "AVIF", 40, 20)),
    "HEIC": ("x.heic", lambda p: save(p, format_="HEIF"), ("RGB", "HEIF", 40, 20)),
    "HEIC called JPEG": ("x.jpg", lambda p: save(p, format_="HEIF"), ("RGB", "HEIF", 40, 20)),
    "JFIF": ("x.jfif", save, ("RGB", "JPEG", 40, 20)),
    "JPE": ("x.JPE", lambda p: save(p, format_="JPEG"), ("RGB", "JPEG", 40, 20)),
    "no ending": ("x", lambda p: save(p, format_="PNG"), ("RGB", "PNG", 40, 20)),
    "another ending": ("x.v2", lambda p: save(p, format_="WEBP"), ("RGB", "WEBP", 40, 20)),
    "large profile": ("x.png", lambda p: save(p, icc_profile=bytes(2 * 2**20)), ("RGB", "PNG", 40, 20)),
    "JPEG without its end": ("x.jpg", lambda p: cut(p, 2), ("RGB", "JPEG", 40, 20)),
    "name of other letters": ("写真 – ß, \"'.png", save, ("RGB", "PNG", 40, 20)),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_image_is_taken(tree: Path, kind: str) -> None:
    name, write, expected = ODD[kind]
    write(tree / "a/cat" / name)
    found = build(tree)
    row = found.manifest.set_index("path").loc[f"a/cat/{name}"]
    assert tuple(row[["mode", "format", "width", "height"]]) == expected


def test_a_still_of_the_first_frame_looks_like_the_animation(tree: Path) -> None:
    animated(tree / "a/cat/x.png")
    save(tree / "a/cat/first.png", noise(seed=1))
    save(tree / "a/cat/second.png", noise(seed=2))
    looks = build(tree).manifest.set_index("path")["phash"]
    assert looks["a/cat/x.png"] == looks["a/cat/first.png"] != looks["a/cat/second.png"]


def cut(path: Path, bytes_: int) -> None:
    save(path)
    path.write_bytes(path.read_bytes()[:-bytes_])


def sparse(path: Path) -> None:
    save(path)
    os.truncate(path, 65 * 2**20)


def sized(path: Path, *size: int) -> None:
    save(path, noise(size=size))


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated JPEG": ("x.jpg", lambda p: cut(p, 200), "damaged image: .*truncated"),
    "truncated PNG": ("x.png", lambda p: cut(p, 200), "damaged image"),
    "PNG without its end": ("x.png", lambda p: cut(p, 12), "damaged image: truncated PNG"),
    "truncated WebP": ("x.webp", lambda p: cut(p, 100), "damaged image"),
    "truncated BMP": ("x.bmp", lambda p: cut(p, 100), "damaged image: .*truncated"),
    "truncated TIFF": ("x.tif", lambda p: cut(p, 800), "damaged image"),
    "text called JPEG": ("x.jpg", lambda p: p.write_text("no image"), "not an image of a known format"),
    "text": (
        "x.txt",
        lambda p: p.write_text("no image"),
        "not an image file; expected JPEG, PNG,.* hide it with a dot",
    ),
    "raw file of a camera": ("x.nef", lambda p: save(p, format_="TIFF"), "not an image file"),
    "empty": ("x.png", Path.touch, "not an image of a known format"),
    "floats": ("x.tif", lambda p: save(p, wide("float32")), "floating-point pixels"),
    "bomb": ("x.png", lambda p: sized(p, 101, 100), r"101 x 100 pixels, more than data.max_pixels \(10000\)"),
    "bomb beyond Pillow's limit": ("x.png", lambda p: save(p, Image.new("1", (20_000, 10_000))), "more than 10000 pix"),
    "huge file": ("x.png", sparse, "68157440 bytes, more than an image of data.max_pixels needs"),
    "strip": ("x.png", lambda p: sized(p, 2001, 20), "more than data.max_pixels|a strip"),
    "too small": ("x.png", lambda p: sized(p, 15, 20), r"15 x 20 pixels, less than data.min_side \(16\)"),
    "link that leaves": ("x.png", lambda p: p.symlink_to("/etc/hostname"), "a link that leaves images"),
    "link to nowhere": ("x.png", lambda p: p.symlink_to("y.png"), "a link that leads nowhere"),
    "link to itself": ("x.png", lambda p: p.symlink_to("x.png"), "a link that leads nowhere"),
    "pipe": ("x.png", os.mkfifo, "not a regular file"),
    "line break in the name": ("x\n.png", save, "a control character"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_image_is_refused_by_name(tree: Path, kind: str) -> None:
    name, write, problem = BAD[kind]
    clean = build(tree).manifest
    write(tree / "b/dog" / name)
    shown = name.replace("\n", "\\x0a")
    with pytest.raises(DataError, match="1 bad image .* b/dog/" + shown.replace("\\", r"\\") + f": .*{problem}") as got:
        build(tree)
    assert "\n" not in str(got.value)
    found = build(tree, skip=True)
    assert list(found.refused["path"]) == [f"b/dog/{shown}"]
    assert found.manifest.equals(clean)


def test_a_socket_is_refused_by_name(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "a/cat")  # the address of a socket may have 108 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("x.png")
        with pytest.raises(DataError, match=r"a/cat/x\.png: not a regular file"):
            build(tree)


@pytest.fixture
def unprivileged(tree: Path):
    """A copy of the tree that a user without privileges may read; calls as that user."""
    build(tree)  # what is imported on the way may be root's alone
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = tree.rename(Path(folder) / "images")

        def call() -> Inventory:
            if os.geteuid() != 0:
                return build(root)
            os.seteuid(65534)
            try:
                return build(root)
            finally:
                os.seteuid(0)

        try:
            call()
        except DataError as error:
            pytest.skip(f"another user cannot read temporary folders here: {error}")
        except PermissionError:
            pytest.skip("this process may not become another user, and root may read everything")
        yield root, call


@pytest.mark.parametrize("path", ["a/cat/0.png", "b/dog", "a"])
def test_what_may_not_be_read_is_named(unprivileged: tuple[Path, Callable[[], Inventory]], path: str) -> None:
    root, call = unprivileged
    (root / path).chmod(0)
    try:
        with pytest.raises(DataError, match=f"{path}: cannot be (read|listed): Permission denied"):
            call()
    finally:
        (root / path).chmod(0o755)


def test_what_systems_leave_in_folders_is_passed_over(tree: Path) -> None:
    clean = build(tree).manifest
    for place in ("", "a", "a/cat"):
        for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png", "Icon\r"):
            (tree / place / name).write_bytes(b"junk")
        (tree / place / "__MACOSX" / "a").mkdir(parents=True)
        (tree / place / "@eaDir").mkdir()
    assert build(tree).manifest.equals(clean)


def test_a_folder_with_nothing_else_is_empty(tree: Path) -> None:
    (tree / "b/fox").mkdir()
    (tree / "b/fox/Thumbs.db").touch()
    with pytest.raises(DataError, match="b/fox: a class folder without images"):
        build(tree)


def spoil(root: Path, folder: str) -> None:
    for path in (root / folder).glob("**/*.png"):
        path.write_bytes(b"no image")


def test_a_class_that_is_emptied_in_one_domain_is_said(tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spoil(tree, "b/dog")
    found = build(tree, skip=True)
    assert set(found.manifest["path"].str.rpartition("/")[0]) == {"a/cat", "a/dog", "b/cat"}
    said = capfd.readouterr().err
    assert "continuing without 2 bad images: b/dog/0.png: not an image" in said
    assert "no usable image in b/dog\n" in said


@pytest.mark.parametrize(("folders", "what"), [(["a/dog", "b/dog"], "class 'dog'"), (["b"], "domain 'b'")])
def test_a_class_or_domain_that_is_emptied_stops_the_run(tree: Path, folders: list[str], what: str) -> None:
    for folder in folders:
        spoil(tree, folder)
    with pytest.raises(DataError, match=f"no usable image of the {what}; the first refused is .*/0.png: not an"):
        build(tree, skip=True)


def phone(root: Path) -> None:
    """Three HEIC images of cat in one domain and two in the other, one of them called JPEG; dog has one."""
    for number, place in enumerate(
        ["a/cat/x.heic", "a/cat/y.heic", "a/cat/z.jpg", "b/cat/x.heic", "b/cat/y", "b/dog/x"]
    ):
        save(root / place, noise(seed=number), "HEIF")


def test_images_without_a_decoder_are_counted_by_class(
    tree: Path, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    phone(tree)
    clean = build(tree).manifest
    assert len(clean) == 8 + 6
    request.getfixturevalue("without_heic")
    install = r"a HEIC image, which needs the extra `heic` \(`pip install pillow-heif`\)"
    with pytest.raises(
        DataError, match=f"5 files of the class 'cat': {install}; 1 file of the class 'dog': {install}$"
    ):
        build(tree)
    assert len(build(tree, skip=True).manifest) == 8
    assert "continuing without 6 bad images: 5 files of the class 'cat': a HEIC image" in capfd.readouterr().err


def test_the_defect_of_a_file_is_in_the_manifest(tree: Path) -> None:
    cut(tree / "a/cat/x.jpg", 2)
    defects = build(tree).manifest.set_index("path")["defect"]
    assert defects.pop("a/cat/x.jpg") == "lacks its end marker"
    assert set(defects) == {""}


def test_a_class_of_a_pool_that_is_emptied_is_said(tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tree / "open_sets/dtd/banded").mkdir(parents=True)
    (tree / "open_sets/dtd/banded/x.png").touch()
    assert len(build(tree, skip=True).manifest) == 8
    assert "no usable image in open_sets/dtd/banded\n" in capfd.readouterr().err


def test_clean_images_of_all_kinds_raise_nothing(tmp_path: Path) -> None:
    modes = {".png": ["1", "L", "LA", "P", "RGB", "RGBA"], ".jpg": ["L", "RGB", "CMYK"], ".webp": ["RGB", "RGBA"]}
    modes |= {".bmp": ["1", "L", "P", "RGB"], ".tif": ["1", "L", "RGB", "RGBA", "CMYK"]}
    for seed in range(20):
        draw = random.Random(seed)
        root = tmp_path / str(seed)
        for number in range(24):
            suffix = draw.choice(sorted(modes))
            file = root / draw.choice("ab") / draw.choice(["cat", "Dog", "sea lion"]) / f"{number}{suffix}"
            file.parent.mkdir(parents=True, exist_ok=True)
            image = noise("RGB", number, (draw.randint(16, 90), draw.randint(16, 90)))
            image.convert(draw.choice(modes[suffix])).save(file)
        assert len(build(root).manifest) == 24


def test_refusing_a_huge_file_takes_no_memory(tree: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (tree / "a/cat/x.png").touch()
    os.truncate(tree / "a/cat/x.png", 2**33)
    with pytest.raises(DataError, match="8589934592 bytes"):
        build(tree)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
