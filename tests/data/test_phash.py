from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from pipeline.data.phash import hash_grey, perceptual_hash


def scene(seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """Smooth random blobs: what photographs look like to a hash of low frequencies."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2))


def encoded(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def distance(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def test_bits_by_hand() -> None:
    # cos(pi k (2n + 1) / 64) along both axes is the basis function (k, k): only that coefficient is above the median
    n = np.arange(32)
    for k, bit in ((1, 63), (2, 63 - 9), (8, 0)):
        wave = np.cos(np.pi * k * (2 * n + 1) / 64)
        assert hash_grey(128 + 50 * np.outer(wave, wave)) == f"{1 << bit:016x}"


def test_a_flat_image_has_no_bits_and_brightness_does_not_matter() -> None:
    assert perceptual_hash(Image.new("RGB", (50, 40), (90, 90, 90))) == "0" * 16
    assert perceptual_hash(Image.new("RGB", (17, 400), (255, 0, 3))) == "0" * 16
    image = scene(0)
    darker = Image.fromarray((np.asarray(image) // 2).astype(np.uint8))
    assert distance(perceptual_hash(image), perceptual_hash(darker)) <= 2


def test_reencoded_and_resized_images_stay_near_and_others_far() -> None:
    hashes = [perceptual_hash(scene(seed)) for seed in range(20)]
    for seed, own in enumerate(hashes):
        assert len(own) == 16
        assert distance(own, perceptual_hash(encoded(scene(seed), 60))) <= 2
        assert distance(own, perceptual_hash(scene(seed).resize((48, 40), Image.Resampling.BICUBIC))) <= 6
    apart = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 10
    assert 28 < np.mean(apart) < 36  # unrelated bits agree half of the time


def test_a_mirrored_image_is_another_one() -> None:
    image = scene(3)
    assert distance(perceptual_hash(image), perceptual_hash(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))) > 10
