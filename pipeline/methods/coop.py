"""CoOp: the words around a class's name are learned as free vectors, through the frozen text tower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipeline.errors import DataError, ParamsError
from pipeline.methods.contract import Arrays, ClassSet, Images, Method, Start, Tower
from pipeline.methods.zero_shot import logits
from pipeline.papers import Paper
from pipeline.params.finetune import Optimised
from pipeline.params.section import Count

if TYPE_CHECKING:
    from torch import Tensor


class Options(Optimised):
    """init, words, context: the context starts as the embeddings of `words`, or as `context` random vectors.

    class_specific: each class learns a context of its own.
    """

    kind: Literal["coop"] = "coop"
    optimizer: Literal["sgd", "adamw"] = "sgd"
    init: Literal["words", "random"] = "words"
    words: Annotated[str, Field(min_length=1)] = "a photo of a"
    context: Count = 16
    class_specific: bool = False


@dataclass(frozen=True, eq=False)
class Prompts:
    """Prompts of C classes with a gap for the context: start token, gap, then name, full stop and end token.

    Attributes:
        first: (W,) embedding of the start token.
        rest: (C, N, W) embeddings of what follows the gap, padded to the longest.
        lengths: (C,) tokens of `rest` up to the end token, which is included; in [1, N].
        tower: encodes them, differentiably.
    """

    first: Tensor
    rest: Tensor
    lengths: Tensor
    tower: Tower


def check(options: Options, classes: ClassSet, name: str) -> None:
    """Refuse a run without a tower or names, and a context that does not fit.

    Raises:
        DataError: there is no tower, or not a name for each class.
        ParamsError: a prompt is longer than the tower's context, or the start has no word.
    """
    if classes.tower is None:
        raise DataError(
            f"{name}: kind: coop learns prompts through the text tower, and these features come without one; leave the "
            "method out"
        )
    if len(classes.names) != len(classes.text):
        raise DataError(
            f"{name}: {len(classes.names)} names for {len(classes.text)} classes; run `dvc repro featurize`"
        )
    words = _words(options, classes)
    context = options.context if words is None else len(words)
    if not context:
        raise ParamsError(f"{name}: words: {options.words!r} has no token; use init: random")
    prompts = _prompts(classes)
    longest = int(prompts.lengths.argmax())
    tokens = 1 + int(prompts.lengths[longest])
    if context + tokens > prompts.tower.context:
        raise ParamsError(
            f"{name}: {context} context tokens and the {tokens} of {classes.names[longest]!r} (start and end included) "
            f"do not fit the text tower's {prompts.tower.context}; lower context, shorten words, or shorten the name "
            "in backbone.class_names"
        )


def start(options: Options, seed: int, classes: ClassSet, images: Images) -> Start:
    """The context before training: embeddings of words, or N(0, 0.02²) as the authors draw, by the run's seed alone.

    Returns:
        context (M, W) shared by all classes (the authors' unified context), or (C, M, W).
    """
    import numpy as np
    import torch

    prompts, words = _prompts(classes), _words(options, classes)
    count, _, width = prompts.rest.shape
    if words is not None:
        return Start({"context": words.expand(count, -1, -1).clone() if options.class_specific else words.clone()})
    shape = (count, options.context, width) if options.class_specific else (options.context, width)
    generator = np.random.default_rng([seed, *shape])  # apart from the generator that shuffles the images
    return Start({"context": torch.from_numpy(generator.normal(0.0, 0.02, shape)).to(prompts.rest)})


def derive(learnt: Arrays, numbers: Mapping[str, Tensor], options: Options, classes: ClassSet) -> Arrays:
    """Normalised text features of the prompts "[V]_1 ... [V]_M NAME." for each class, (C, D).

    Equation 2 of the paper: the class token stands at the end, and the logits are those of zero-shot CLIP (equation 3)
    with these text features.
    """
    import torch

    from pipeline.croft.adapters import normalise

    prompts = _prompts(classes)
    context = learnt["context"] if options.class_specific else learnt["context"].unsqueeze(-3)
    runs = context.shape[:-3]
    count = len(prompts.rest)
    gap = context.expand(*runs, count, -1, -1)
    first = prompts.first.expand(*runs, count, 1, -1)
    embedded = torch.cat([first, gap, prompts.rest.expand(*runs, -1, -1, -1)], dim=-2)  # (C, 1 + M + N, W)
    lengths = 1 + gap.shape[-2] + prompts.lengths
    stacked = embedded.reshape(-1, *embedded.shape[-3:])  # (R, C, L, W)
    if embedded.dtype == torch.float64:
        # Run by run: a pass of many runs rounds differently, and float64 promises the same bits.
        features = torch.stack([prompts.tower.encode(each, lengths) for each in stacked])
    else:
        features = prompts.tower.encode(stacked.flatten(0, 1), lengths.repeat(len(stacked)))
    return {"prototypes": normalise(features.reshape(*runs, count, -1))}


def _tower(classes: ClassSet) -> Tower:
    if classes.tower is None:
        raise DataError("prompts are learned through the text tower, and these features come without one")
    return classes.tower()


def _prompts(classes: ClassSet) -> Prompts:
    """Prompts of all classes, with a gap in place of the context."""

    def make() -> Prompts:
        import torch

        tower = _tower(classes)
        ids, lengths = tower.tokens([f"{name}." for name in classes.names])
        with torch.no_grad():
            embedded = tower.embed(ids)
        return Prompts(embedded[0, 0], embedded[:, 1:], lengths - 1, tower)

    prompts: Prompts = classes.once("coop", make)
    return prompts


def _words(options: Options, classes: ClassSet) -> Tensor | None:
    """(M, W) embeddings of the words that the context starts from; None where it is drawn."""
    if options.init != "words":
        return None
    import torch

    tower = _tower(classes)
    ids, lengths = tower.tokens([options.words])
    with torch.no_grad():
        return tower.embed(ids)[0, 1 : int(lengths) - 1]


PAPER = Paper(
    "Zhou et al.",
    "Learning to Prompt for Vision-Language Models",
    "IJCV",
    2022,
    "https://arxiv.org/abs/2109.01134",
)
METHOD = Method("coop", Options, PAPER, start, logits, derive=derive, check=check, one_class_set=True)
