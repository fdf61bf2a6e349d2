"""One fit's view of images, with what its open-set score takes from training and validation images."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.decision.seen import Eye
from pipeline.detection.temperature import fit_temperature
from pipeline.detection.thresholds import set_threshold
from pipeline.errors import DataError
from pipeline.tables import TRAIN, VALIDATION

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from pipeline.detection.scores.contract import Training
    from pipeline.detection.scores.spaces import Option
    from pipeline.features import Features
    from pipeline.fits import Head

ROWS = 8192  # images a product: bounds the memory at any number of test images


class Limits(NamedTuple):
    """How the threshold is set: the share of validation images that it accepts, and what kind of quantile it is."""

    accept: float = 0.95
    kind: str = "quantile"


class Shared:
    """What scores of features learn and say: the same for every method of a split, and slow; of the latest split."""

    def __init__(self) -> None:
        self._key: object = None
        self.statistics: dict[str, dict[str, Tensor]] = {}
        self.scores: dict[tuple[str, bytes], np.ndarray] = {}

    def of(self, key: object) -> Shared:
        """Forgets what belongs to another split."""
        if key != self._key:
            self._key, self.statistics, self.scores = key, {}, {}
        return self


class FitView:
    """One fit's view of images.

    Args:
        head: of the fit.
        features: of every image that it is asked about.
        rows: TRAIN and VALIDATION rows of its split.
        classes: that it knows, in the order of its labels.
        shared: of fits that come one split after another.
    """

    def __init__(
        self,
        head: Head,
        features: Features,
        rows: pd.DataFrame,
        classes: Sequence[str],
        shared: Shared | None = None,
    ) -> None:
        self.features = features
        self.shared = (shared or Shared()).of((tuple(rows["path"]), tuple(rows["label"])))
        self.eye = Eye(head, features.text[features.text_rows(classes)])
        self.train, self.validation = (rows[rows["role"] == role] for role in (TRAIN, VALIDATION))
        self._inside = self.eye.views(self._clean(self.validation)) if len(self.validation) else None
        self._statistics: dict[str, dict[str, Tensor]] = {}

    def _clean(self, rows: pd.DataFrame) -> np.ndarray:
        images: np.ndarray = self.features.clean[self.features.clean_rows(rows["path"])]
        return images

    @cached_property
    def _training(self) -> Training:
        return self.eye.training(self._clean(self.train), self.train["label"].to_numpy(), self.features.words)

    def usable(self, options: Sequence[Option]) -> list[Option]:
        """Those that can be fitted to these images."""
        usable = []
        for option in options:
            with contextlib.suppress(DataError):
                self.statistics(option)
                usable.append(option)
        return usable

    def statistics(self, option: Option) -> dict[str, Tensor]:
        """What the option takes from training and validation images.

        Raises:
            DataError: there are no validation images, or the score cannot be fitted to these.
        """
        from pipeline.detection.scores import spaces

        if not spaces.learns(option):
            return {}
        if self._inside is None:
            raise DataError(f"open-set score {option.name!r}: no validation images; set split.validation to 1 or more")
        of_features = option.space == spaces.FEATURES
        known = self.shared.statistics if of_features else self._statistics
        if option.name not in known:
            known[option.name] = spaces.fit(option, self._training if of_features else None, self._inside)
        return known[option.name]

    def limits(self, option: Option, limits: Limits, domains: Mapping[str, str]) -> dict[str, Any]:
        """temperature and threshold by the validation images, their number in images, and notes.

        Without any, the temperature is 1 and the threshold NaN.
        """
        from pipeline.detection.scores.spaces import compute

        if self._inside is None:
            return {"temperature": 1.0, "threshold": float("nan"), "images": 0, "notes": "no validation images"}
        temperature = fit_temperature(self._inside.head.logits.numpy(), self.validation["label"].to_numpy())
        scores = compute(option, self._inside, self.statistics(option)).numpy()
        groups = [domains.get(path, "") for path in self.validation["path"]]
        threshold = set_threshold(scores, limits.accept, limits.kind, groups)
        notes = "; ".join(note for note in (temperature.note, threshold.note) if note)
        return {
            "temperature": temperature.value, "threshold": threshold.value, "images": len(scores), "notes": notes
        }  # fmt: skip

    def answers(self, rows: np.ndarray, options: Sequence[Option], temperature: float) -> pd.DataFrame:
        """Decisions on images.

        Args:
            rows: (B,) of the clean features.
            options: scores.
            temperature: of the probabilities, > 0.
        Returns:
            predicted, int64 in [0, C); confidence, the largest probability, float32; and a score per option, float32.
        """
        import numpy as np
        import pandas as pd

        from pipeline.detection.scores.spaces import FEATURES, compute_in_parts

        key = rows.tobytes()
        done = {o.name: self.shared.scores[o.name, key] for o in options if (o.name, key) in self.shared.scores}
        statistics = {option: self.statistics(option) for option in options if option.name not in done}
        # Filled in place: small results that are kept between large ones that are not would scatter the heap.
        columns: dict[str, np.ndarray] = {"predicted": np.empty(len(rows), np.int64)}
        columns["confidence"] = np.empty(len(rows), np.float32)
        columns |= {option.name: np.empty(len(rows), np.float32) for option in statistics}
        for start in range(0, len(rows), ROWS):
            part = slice(start, start + ROWS)
            views = self.eye.views(self.features.clean[rows[part]])
            confidence, predicted = (views.head.logits / temperature).softmax(dim=1).max(dim=1)
            columns["predicted"][part], columns["confidence"][part] = predicted.numpy(), confidence.numpy()
            for option, arrays in statistics.items():
                scores = compute_in_parts(option, len(predicted), views.part, arrays)  # KNN has a large bank
                columns[option.name][part] = scores.numpy()
        self.shared.scores |= {(o.name, key): columns[o.name] for o in statistics if o.space == FEATURES}
        return pd.DataFrame(columns | done)
