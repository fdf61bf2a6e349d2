"""Open-set scores of image features against hand numbers, scikit-learn and pytorch-ood."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.detection.scores import gaussian, neighbours, subspace, words
from pipeline.detection.scores.contract import Training
from pipeline.errors import DataError


def draw(rows: int, width: int, seed: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)))


def training(rows: int = 400, width: int = 8, classes: int = 4, words: Tensor | None = None) -> Training:
    text, labels = draw(classes, width, 1), torch.arange(rows) % classes
    features = torch.nn.functional.normalize(text[labels] + 0.8 * draw(rows, width, 2))
    return Training(features, labels, text, 20.0, words)


def ranks(values: Tensor) -> np.ndarray:
    return np.argsort(np.argsort(values.numpy()))


def test_neighbour_distance_by_hand() -> None:
    # Unit vectors at 0, 90 and 180 degrees: chords of 0, √2 and 2.
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    made = neighbours.bank(Training(rows, torch.zeros(3, dtype=torch.int64), rows[:1], 1.0))
    images = rows[:1]
    for k, expected in ((1, 0.0), (2, math.sqrt(2)), (3, 2.0), (9, 2.0)):
        torch.testing.assert_close(neighbours.neighbour_distance(images, made, k), torch.tensor([expected]))


def test_neighbour_distance_equals_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    given, images = training(), draw(50, 8, 3)
    theirs = NearestNeighbors(n_neighbors=5).fit(given.features.numpy()).kneighbors(images.numpy())[0][:, -1]
    ours = neighbours.neighbour_distance(images, neighbours.bank(given), 5)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)


def test_mahalanobis_of_one_class_equals_scikit_learn_with_few_images() -> None:
    from sklearn.covariance import LedoitWolf

    few = training(rows=6, width=16, classes=1)  # fewer images than dimensions
    images = draw(30, 16, 4)
    theirs = LedoitWolf().fit(few.features.double().numpy()).mahalanobis(images.double().numpy())
    made = gaussian.with_background(few)
    np.testing.assert_allclose(gaussian.mahalanobis(images, made).numpy(), theirs, rtol=1e-3)
    # One class is the background itself.
    np.testing.assert_allclose(gaussian.relative_mahalanobis(images, made).numpy(), 0, atol=1e-3 * theirs.max())


def test_mahalanobis_takes_the_nearest_class_by_hand() -> None:
    made = {"means": torch.tensor([[0.0, 0.0], [3.0, 0.0]]), "whitening": torch.diag(torch.tensor([1.0, 0.5]))}
    # 2² + (4 / 2)² from the first mean, 1² + 2² from the second.
    torch.testing.assert_close(gaussian.mahalanobis(torch.tensor([[2.0, 4.0]]), made), torch.tensor([5.0]))


@pytest.mark.parametrize("relative", [False, True])
def test_mahalanobis_ranks_like_pytorch_ood_where_shrinkage_is_small(relative: bool) -> None:
    from pytorch_ood.detector import RMD, Mahalanobis

    many, images = training(rows=20_000), draw(300, 8, 5)
    theirs = (RMD if relative else Mahalanobis)(None).fit_features(many.features, many.labels)
    score = gaussian.relative_mahalanobis if relative else gaussian.mahalanobis
    ours = score(images, gaussian.with_background(many))
    assert np.corrcoef(ranks(ours), ranks(theirs.predict_features(images)))[0, 1] > 0.999


def test_virtual_logit_equals_pytorch_ood() -> None:
    from pytorch_ood.detector import ViM

    given, images = training(), draw(100, 8, 6)
    made = subspace.principal_subspace(given)
    kept = 8 - made["residual"].shape[1]
    assert kept == 4  # half of the dimensions
    theirs = ViM(None, kept, given.scale * given.text, torch.zeros(4)).fit_features(given.features, given.labels)
    torch.testing.assert_close(
        subspace.virtual_logit(images, made), theirs.predict_features(images), rtol=1e-3, atol=1e-3
    )


def test_negative_label_by_hand() -> None:
    made = {
        "classes": torch.tensor([[1.0, 0.0]]),
        "words": torch.tensor([[[0.0, 1.0]], [[-1.0, 0.0]]]),  # two groups of one word
        "scale": torch.tensor(2.0),
    }
    # The image is the class: e² against e⁰, and against e⁻².
    first, second = (math.exp(2) / (math.exp(2) + other) for other in (1.0, math.exp(-2)))
    result = words.negative_label(torch.tensor([[1.0, 0.0]]), made)
    torch.testing.assert_close(result, torch.tensor([-(first + second) / 2]))


def test_negative_words_are_far_from_every_class() -> None:
    classes = torch.eye(3)[:2]
    same, near, far = [0.999, 0.04471, 0.0], [0.8, 0.0, 0.6], [0.0, 0.0, 1.0]
    given = Training(classes, torch.arange(2), classes, 1.0, torch.tensor([near, same, far, near]))
    made = words.negative_words(given)
    torch.testing.assert_close(made["words"], torch.tensor([[far]]))  # the farther half of those that mean no class
    with pytest.raises(DataError, match="every word of the list means a known class"):
        words.negative_words(given._replace(words=torch.tensor([same])))
    with pytest.raises(DataError, match="no list of words"):
        words.negative_words(given._replace(words=None))
