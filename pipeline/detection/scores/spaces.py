"""Where a score looks: at the fitted head, at zero-shot, at both, or at image features.

Fine-tuning may improve what a score reads, or bend it; zero-shot still has what was bent. Which of them separates
better is a question to validation data, so each is an option of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.detection.scores.catalogue import SCORES
from pipeline.detection.scores.contract import LogitScore, Score, Seen, Statistics, Training

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 8192  # images at a time
CELLS = 2**26  # of images times what they are compared with: 256 MiB in float32
HEAD, ZERO_SHOT, BOTH, FEATURES = "head", "zero-shot", "both", "features"


class Option(NamedTuple):
    """A score and where it looks."""

    score: str
    space: str

    @property
    def name(self) -> str:
        """`energy` of the fitted head, `energy@zero-shot`, `energy@both`; `knn` of features."""
        return self.score if self.space in (HEAD, FEATURES) else f"{self.score}@{self.space}"


class Views(NamedTuple):
    """The same images as the fitted head and as zero-shot see them; their features are equal."""

    head: Seen
    zero_shot: Seen

    def part(self, rows: slice) -> Views:
        """Some of the images."""
        return Views(*(seen._replace(logits=seen.logits[rows], features=seen.features[rows]) for seen in self))


def options(*, words: bool = False, scores: Sequence[Score] = tuple(SCORES.values())) -> Iterator[Option]:
    """Every option, the simplest first.

    Args:
        words: whether there is a list of words; scores that need one are left out elsewhere.
        scores: rows of the catalogue.
    """
    for score in scores:
        if isinstance(score, LogitScore):
            yield from (Option(score.name, space) for space in (HEAD, ZERO_SHOT, BOTH))
        elif words or not score.words:
            yield Option(score.name, FEATURES)


def option_of(name: str) -> Option:
    """The option of that name; ValueError where there is none."""
    by_name = {option.name: option for option in options(words=True)}
    if name not in by_name:
        raise ValueError(f"no open-set score is called {name!r}; known: {', '.join(by_name)}")
    return by_name[name]


def learns(option: Option) -> bool:
    """Whether it takes anything from training or validation images."""
    return option.space in (BOTH, FEATURES)


def fit(option: Option, training: Training | None, validation: Views) -> dict[str, Tensor]:
    """What an option takes from training and validation images of known classes.

    Args:
        option: any.
        training: for scores of features; the others do without.
        validation: at least one image; sets how the two halves of `both` are brought to one scale.
    Returns:
        Arrays by name, all float32; often none.
    Raises:
        DataError: the score cannot be fitted to these images. ValueError: it needs training images, and there are none.
    """
    import torch

    score = SCORES[option.score]
    if not isinstance(score, LogitScore):
        if training is None:
            raise ValueError(f"{option.name}: no training images to learn from")
        return score.fit(training)
    if option.space != BOTH:
        return {}
    halves = [score.compute(seen.logits, seen.scale) for seen in validation]
    means = torch.stack([half.mean() for half in halves])
    spreads = torch.stack([half.std(correction=0) for half in halves])
    return {"means": means, "spreads": torch.where(spreads > 0, spreads, 1.0)}


def compute(option: Option, views: Views, statistics: Statistics) -> Tensor:
    """(B,) float32 open-set scores; larger = more open-set.

    Args:
        views: the images.
        statistics: of `fit`.
    """
    score = SCORES[option.score]
    if not isinstance(score, LogitScore):
        return score.compute(views.zero_shot.features, statistics)
    if option.space == BOTH:
        halves = (score.compute(seen.logits, seen.scale) for seen in views)
        means, spreads = statistics["means"], statistics["spreads"]
        first, second = ((half - means[n]) / spreads[n] for n, half in enumerate(halves))
        return first + second
    seen = views.zero_shot if option.space == ZERO_SHOT else views.head
    return score.compute(seen.logits, seen.scale)


def compute_in_parts(
    option: Option, count: int, views: Callable[[slice], Views], statistics: Statistics, cells: int = CELLS
) -> Tensor:
    """As `compute`, for any number of images that are looked at a part at a time.

    Args:
        count: of images, at least one.
        views: gives the images of a slice.
        cells: numbers that a part may compare its images with, at least one image's.
    """
    import torch

    widest = max((len(array) for array in statistics.values() if array.ndim > 1), default=1)
    rows = max(1, min(ROWS, cells // widest))
    parts = (slice(start, min(start + rows, count)) for start in range(0, count, rows))
    return torch.cat([compute(option, views(part), statistics) for part in parts])
