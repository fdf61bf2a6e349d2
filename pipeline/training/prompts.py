"""What runs that learn prompts need of the text tower, looked up and checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.errors import DataError, ParamsError
from pipeline.methods.coop import ClassPrompts
from pipeline.training.runs import Run
from pipeline.training.settings import BaselineSettings

if TYPE_CHECKING:
    from pipeline.backbone.protocol import PromptTower


def learns_prompts(run: Run) -> bool:
    """Whether the run is of kind coop."""
    return isinstance(run.settings, BaselineSettings) and run.settings.kind == "coop"


class PromptMaker:
    """Prompts for runs of kind coop; the tower is loaded once, and only if there is such a run."""

    def __init__(
        self,
        runs: Sequence[Run],
        names: Sequence[str],
        tower: Callable[[], PromptTower] | None,
        *,
        classes: int,
        dtype: torch.dtype,
    ) -> None:
        """Check every run of kind coop among these.

        Args:
            runs: of any kind.
            names: how prompts call the C classes.
            tower: gives the text tower that made the text features.
            classes: C.
            dtype: of training.
        Raises:
            DataError: there is no tower, or not a name for each class; ParamsError: a prompt is longer than the
                tower's context, or the start has no word.
            Others: as `tower`.
        """
        self._names = list(names)
        learning = [run for run in runs if learns_prompts(run)]
        if not learning:
            return
        if tower is None:
            raise DataError(
                f"{learning[0].name}: kind: coop learns prompts through the text tower, and these features come "
                "without one; leave the method out"
            )
        if len(self._names) != classes:
            raise DataError(
                f"{learning[0].name}: {len(self._names)} names for {classes} classes; run `dvc repro featurize`"
            )
        self._tower = tower().in_dtype(dtype)
        for run in learning:
            self._check(run, run.settings)  # type: ignore[arg-type]

    def prompts(self) -> ClassPrompts:
        """Prompts of all classes, with a gap in place of the context."""
        ids, lengths = self._tower.tokens([f"{name}." for name in self._names])
        with torch.no_grad():
            embedded = self._tower.embed(ids)
        return ClassPrompts(embedded[0, 0], embedded[:, 1:], lengths - 1, self._tower.encode)

    def words(self, settings: BaselineSettings) -> Tensor | None:
        """(M, W) embeddings of the words that the context starts from; None where it is drawn."""
        if settings.init != "words":
            return None
        ids, lengths = self._tower.tokens([settings.words])
        with torch.no_grad():
            return self._tower.embed(ids)[0, 1 : int(lengths) - 1]

    def _check(self, run: Run, settings: BaselineSettings) -> None:
        words = self.words(settings)
        context = settings.context if words is None else len(words)
        if not context:
            raise ParamsError(f"{run.name}: words: {settings.words!r} has no token; use init: random")
        _, lengths = self._tower.tokens([f"{name}." for name in self._names])
        longest = int(lengths.argmax())
        if context + int(lengths[longest]) > self._tower.context:
            raise ParamsError(
                f"{run.name}: {context} context tokens and the {int(lengths[longest])} of {self._names[longest]!r} "
                f"(start and end included) do not fit the text tower's {self._tower.context}; "
                "lower context, shorten words, or shorten the name in backbone.class_names"
            )
