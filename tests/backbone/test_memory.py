from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.backbone import memory


def test_images_follow_from_the_largest_activation(backbone: Any) -> None:
    # 32 pixels in patches of 8: 16 patches and the class token, width 32, whose MLP is four times as wide
    largest = 17 * 4 * 32 * 4  # bytes of the MLP's hidden layer, float32; the first convolution's 16 * 32 are fewer
    assert memory.images_per_forward(backbone.image_tower, 32, "cpu") == 2**30 // (4 * largest)
    assert backbone.images_per_forward == 2**30 // (4 * largest)
    assert not any(module._forward_hooks for module in backbone.image_tower.modules())


def test_batch_that_does_not_fit_is_cut(backbone: Any) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    whole, sizes = backbone.encode_images(images), []
    hook = backbone.image_tower.register_forward_hook(lambda _, args, __: sizes.append(len(args[0])))
    try:
        cut = replace(backbone, images_per_forward=3).encode_images(images)
    finally:
        hook.remove()
    assert sizes == [3, 3, 1]
    np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-6)
