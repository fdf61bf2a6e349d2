"""A deployed method's protocol fits, kept with its model version: enough to judge other images with them later.

The fit that is deployed has seen every domain, so it cannot say how the method does on a domain that is new to it. The
protocol fits can: one per held-out domain and seed, each with its head, what its open-set score learnt, its temperature
and threshold, and the content hashes of the images that it saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.fits import Head
from pipeline.tables import (
    DEPLOY,
    TRAIN,
    VALIDATION,
    Table,
    atomic_path,
    read_json,
    read_table,
    write_json,
    write_table,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipeline.decision.fit import Limits
    from pipeline.detection.scores.spaces import Option
    from pipeline.features import Features
    from pipeline.fits import Fits

BACKBONE = ("model", "weights_sha256", "image_size", "mean", "std", "precision")
"""Of the features' description: with the same ones, two versions see an image as the same numbers."""

_DESCRIPTION, _ARRAYS, _SEEN = "protocol.json", "arrays.safetensors", "seen.parquet"
_FORMAT = 1
SEEN = Table("seen", {"target": "str", "seed": "int64", "sha256": "str"}, ("target", "seed", "sha256"))


@dataclass(frozen=True)
class KeptFit:
    """One protocol fit.

    Attributes:
        target, seed: the held-out domain and the seed.
        classes: known ones, in the order of its labels.
        head: gives logits of raw image features.
        text: (C, D) raw text features of these classes.
        statistics: what its open-set score learnt, arrays by name.
        temperature, threshold: as its validation images set them; an image is unknown when its score is larger.
        seen: sha256 of the images that it trained or validated on.
    """

    target: str
    seed: int
    classes: tuple[str, ...]
    head: Head
    text: np.ndarray
    statistics: Mapping[str, np.ndarray]
    temperature: float
    threshold: float
    seen: frozenset[str]


@dataclass(frozen=True)
class Kept:
    """All protocol fits of one deployed method.

    Attributes:
        method, score: names of the method and of the open-set score.
        backbone: values of BACKBONE.
        prompts: templates and class names behind the text features.
        fits: by held-out domain and seed.
    """

    method: str
    score: str
    backbone: Mapping[str, Any]
    prompts: Mapping[str, Any]
    fits: Sequence[KeptFit]


def keep(
    features: Features,
    fits: Fits,
    splits: pd.DataFrame,
    manifest: pd.DataFrame,
    *,
    method: str,
    option: Option,
    limits: Limits,
) -> Kept:
    """Collect the protocol fits of a method; diverged ones are left out.

    Args:
        features, fits, splits, manifest: as the earlier stages wrote them.
        method: that is deployed.
        option: its open-set score.
        limits: how each fit's validation images set its threshold.
    Raises:
        DataError: the score cannot be fitted to a fit's images.
    """
    from pipeline.decision.fit import FitView
    from pipeline.splits import domain_of, known_by_fit

    rows = fits.table[(fits.table["method"] == method) & (fits.table["target"] != DEPLOY) & ~fits.table["diverged"]]
    seen = splits[splits["role"].isin([TRAIN, VALIDATION])]
    learnt, known = dict(list(seen.groupby(["target", "seed"], sort=False))), known_by_fit(seen)
    digests, domains = manifest.set_index("path")["sha256"], domain_of(manifest)
    kept = []
    for number, target, seed in zip(rows["fit"], rows["target"], rows["seed"], strict=True):
        key = str(target), int(seed)
        view = FitView(fits.heads[int(number)], features, learnt[key], known[key])
        found = view.limits(option, limits, domains)
        kept.append(
            KeptFit(
                *key,
                tuple(known[key]),
                fits.heads[int(number)],
                features.text[features.text_rows(known[key])],
                {name: array.numpy() for name, array in view.statistics(option).items()},
                float(found["temperature"]),
                float(found["threshold"]),
                frozenset(digests[learnt[key]["path"]]),
            )
        )
    meta = features.meta
    return Kept(
        method,
        option.name,
        {name: meta.get(name) for name in BACKBONE},
        {name: meta.get(name) for name in ("prompts", "names")},
        kept,
    )


def answers(fit: KeptFit, score: str, images: np.ndarray) -> pd.DataFrame:
    """What a kept fit decides.

    Args:
        fit: one of `Kept.fits`.
        score: name of the open-set score.
        images: (B, D) raw features, B > 0, of the same backbone.
    Returns:
        class, the predicted one; score, larger is more open-set; rejected, whether it is called unknown. B rows.
    """
    import numpy as np
    import pandas as pd

    from pipeline.decision.seen import Eye, to_tensor
    from pipeline.detection.scores.spaces import ROWS, compute_in_parts, option_of

    eye, option = Eye(fit.head, fit.text), option_of(score)
    statistics = {name: to_tensor(array) for name, array in fit.statistics.items()}
    predicted, scores = [], []
    for start in range(0, len(images), ROWS):
        views = eye.views(images[start : start + ROWS])
        predicted.append(views.head.logits.argmax(dim=1).numpy())
        scores.append(compute_in_parts(option, len(predicted[-1]), views.part, statistics).numpy())
    values = np.concatenate(scores)
    named = np.array(fit.classes, dtype=object)[np.concatenate(predicted)]
    return pd.DataFrame({"class": named, "score": values, "rejected": values > np.float32(fit.threshold)})


def write_kept(kept: Kept, folder: Path) -> None:
    """Write all parts; the description comes last, so a folder without it is not a whole one."""
    import math

    import numpy as np
    import pandas as pd
    from safetensors.numpy import save_file

    arrays, described, seen = {}, [], []
    for number, fit in enumerate(kept.fits):
        parts = {"head": fit.head.arrays, "statistics": fit.statistics, "text": {"": fit.text}}
        for part, named in parts.items():
            for name, array in named.items():
                arrays[f"{number}.{part}.{name}"] = np.array(array, dtype=np.float32, order="C")
        described.append(
            {
                "target": fit.target,
                "seed": fit.seed,
                "classes": list(fit.classes),
                "kind": fit.head.kind,
                "scalars": dict(fit.head.scalars),
                "temperature": fit.temperature,
                "threshold": fit.threshold if math.isfinite(fit.threshold) else None,
            }
        )
        seen += [(fit.target, fit.seed, digest) for digest in sorted(fit.seen)]
    with atomic_path(folder / _ARRAYS) as temporary:
        save_file(arrays, temporary)
        temporary.chmod(0o644)  # safetensors replaces the file it is given
    write_table(pd.DataFrame(seen, columns=list(SEEN.columns)), folder / _SEEN, SEEN)
    content = {"format": _FORMAT, "method": kept.method, "score": kept.score, "fits": described}
    write_json({**content, "backbone": dict(kept.backbone), "prompts": dict(kept.prompts)}, folder / _DESCRIPTION)


def read_kept(folder: Path) -> Kept:
    """Read what `write_kept` wrote, which may come from a server.

    Raises:
        DataError: a part is missing, damaged, of another format, or does not fit the others.
    """
    content = read_json(folder / _DESCRIPTION)
    seen = {
        (str(target), int(str(seed))): frozenset(rows["sha256"])
        for target, of_target in read_table(folder / _SEEN, SEEN).groupby("target")
        for seed, rows in of_target.groupby("seed")
    }
    try:
        if content["format"] != _FORMAT:
            raise DataError(f"{folder / _DESCRIPTION}: expected format {_FORMAT}, found {content['format']!r}")
        arrays = _arrays(folder / _ARRAYS, len(content["fits"]))
        fits = [_fit(row, arrays[number], seen) for number, row in enumerate(content["fits"])]
        return Kept(str(content["method"]), str(content["score"]), content["backbone"], content["prompts"], fits)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: not the kept fits of a version: {error!r}; register the model again") from None


def _arrays(path: Path, count: int) -> list[dict[str, dict[str, np.ndarray]]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        loaded = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not readable: {error}; register the model again") from None
    parts: list[dict[str, dict[str, np.ndarray]]] = [{"head": {}, "statistics": {}, "text": {}} for _ in range(count)]
    for key, array in loaded.items():
        number, part, name = key.split(".", 2)
        parts[int(number)][part][name] = array
    return parts


def _fit(
    row: Mapping[str, Any],
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    seen: Mapping[tuple[str, int], frozenset[str]],
) -> KeptFit:
    classes = tuple(map(str, row["classes"]))
    text = arrays["text"][""]
    if text.ndim != 2 or len(text) != len(classes):
        raise ValueError(f"text: expected ({len(classes)}, D), found {text.shape}")
    scalars = {str(name): float(value) for name, value in row["scalars"].items()}
    threshold = float("nan") if row["threshold"] is None else float(row["threshold"])
    key = str(row["target"]), int(row["seed"])
    head = Head(str(row["kind"]), arrays["head"], scalars)
    return KeptFit(*key, classes, head, text, arrays["statistics"], float(row["temperature"]), threshold, seen[key])
