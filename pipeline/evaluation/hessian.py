"""Agreement of the classification loss's Hessians between domains, for every fit of adapters.

The paper argues that making the energy's gradient small (λ2 > 0) makes the Hessians of the classification loss agree
across domains, which bounds the error on a new domain. Measured here, in feature space, for W_I and W_T together.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.results import finite
from pipeline.splits import known_by_fit
from pipeline.tables import DEPLOY, MEAN, TEST_ID, TEST_SHIFTED, VALIDATION

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.features import Features
    from pipeline.fits import Fits

MEASURES = ("hessian_cosine", "hessian_distance", "hessian_cosine_sources")
COLUMNS = ("method", "target", "seed", *MEASURES)
PAIRS = ("method", "target", "seed", "domain", "other", "cosine", "distance")
IMAGES = 128  # of each domain at most: the estimate's error is that of the probes, not of the images
_ROLES = (VALIDATION, TEST_ID, TEST_SHIFTED)  # known classes, never trained on


def hessian_pairs(
    features: Features, fits: Fits, splits: pd.DataFrame, manifest: pd.DataFrame, *, probes: int
) -> pd.DataFrame:
    """How well the Hessians of the domains agree, at the weights of each fit of adapters.

    Every domain is represented by the same number of images, none of them trained on. Zero-shot stands for the
    adapters before training. All fits of one split share images and probes. Diverged fits, fits of other kinds than
    adapters, and the deploy fit are left out.

    Args:
        features, fits, splits, manifest: as the earlier stages wrote them.
        probes: random directions, at least 1.
    Returns:
        One row per fit and pair of domains, `domain` being the held-out one where it is in the pair. cosine, distance:
        see `croft.hessian.agreement`.
    """
    import pandas as pd
    import torch

    from pipeline.croft.adapters import Weights
    from pipeline.croft.hessian import agreement, domain_grams, random_probes
    from pipeline.croft.options import Ratios

    kept = fits.table[
        (fits.table["target"] != DEPLOY) & ~fits.table["diverged"] & fits.table["kind"].isin(["adapters", "zero-shot"])
    ]
    domain_of = manifest.set_index("path")["domain"]
    all_text = torch.from_numpy(features.text.copy())
    known = known_by_fit(splits)
    directions = random_probes(probes, all_text.shape[1], seed=0, like=all_text) if len(kept) else all_text
    eye, scale = torch.eye(all_text.shape[1]), float(features.meta["logit_scale"])
    rows = []
    for (target, number), members in kept.groupby(["target", "seed"], sort=False):
        split = splits[(splits["target"] == target) & (splits["seed"] == number) & splits["role"].isin(_ROLES)]
        picked = _pick(split.assign(domain=split["path"].map(domain_of)), str(target))
        if len(picked) < 2:
            continue
        text = all_text[torch.from_numpy(features.text_rows(known[str(target), int(members["seed"].iloc[0])]))]
        images = torch.stack(
            [torch.from_numpy(features.clean[features.clean_rows(part["path"])].copy()) for part in picked]
        )
        domains = [str(part["domain"].iloc[0]) for part in picked]
        labels = torch.stack([torch.from_numpy(part["label"].to_numpy(copy=True)) for part in picked])
        for fit in members.to_dict("records"):
            head = fits.heads[fit["fit"]]
            untrained = fit["kind"] == "zero-shot"
            ratios = json.loads(fit["settings"]) if untrained else head.scalars
            names = ("image_weight", "text_weight")
            if not {"ratio_image", "ratio_text"} <= set(ratios) or not (untrained or set(names) <= set(head.arrays)):
                continue
            image, words = (eye if untrained else torch.from_numpy(head.arrays[name].copy()) for name in names)
            shares = Ratios(float(ratios["ratio_image"]), float(ratios["ratio_text"]))
            weights = Weights(image, words, None)
            grams = domain_grams(images, labels, text, weights, directions, ratios=shares, scale=scale)
            cosine, distance = (part.numpy() for part in agreement(grams.double().mean(0)))
            rows += [
                (fit["method"], target, number, domains[a], domains[b], float(cosine[a, b]), float(distance[a, b]))
                for a, b in itertools.combinations(range(len(domains)), 2)
            ]
    return pd.DataFrame(rows, columns=list(PAIRS))


def hessian_agreement(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per fit.

    Args:
        pairs: from `hessian_pairs`.
    Returns:
        hessian_cosine, hessian_distance: mean over the pairs of the held-out domain with each source domain;
        hessian_cosine_sources: over the pairs of source domains (NaN where there is one source domain only).
    """
    keys = list(COLUMNS[:3])
    held_out = pairs["domain"] == pairs["target"]
    means = pairs[held_out].groupby(keys, sort=False)[["cosine", "distance"]].mean()
    means.columns = MEASURES[:2]
    return means.join(pairs[~held_out].groupby(keys)["cosine"].mean().rename(MEASURES[2])).reset_index()


def hessian_points(pairs: pd.DataFrame) -> pd.DataFrame:
    """What `dvc plots` shows: method, target, source (the other domain), and mean over seeds of cosine and distance."""
    held_out = pairs[pairs["domain"] == pairs["target"]].rename(columns={"other": "source"})
    return held_out.groupby(["method", "target", "source"], sort=False)[["cosine", "distance"]].mean().reset_index()


def _pick(split: pd.DataFrame, target: str) -> list[pd.DataFrame]:
    """Equally many rows of each domain, the held-out one first, evenly spread over classes."""
    parts = [part.sort_values(["label", "path"]) for _, part in split.groupby("domain", sort=True)]
    parts.sort(key=lambda part: part["domain"].iloc[0] != target)
    if not parts or parts[0]["domain"].iloc[0] != target:
        return []
    count = min(IMAGES, *(len(part) for part in parts))
    return [part.iloc[[place * len(part) // count for place in range(count)]] for part in parts]


def hessian_metrics(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float | None]]]:
    """{method: {held-out domain or MEAN: {measure: mean over seeds}}}; None where nothing was measured.

    Args:
        table: from `hessian_agreement`.
    """
    metrics: dict[str, dict[str, dict[str, float | None]]] = {}
    for method, of_method in table.groupby("method", sort=False):
        by_target = of_method.groupby("target", sort=False)[list(MEASURES)].mean()
        by_target.loc[MEAN] = by_target.mean()
        metrics[str(method)] = {
            str(target): {str(name): finite(value) for name, value in row.items()}
            for target, row in by_target.to_dict("index").items()
        }
    return metrics


def penalty_effects(
    table: pd.DataFrame, settings: Mapping[str, Mapping[str, Any]], *, bootstrap: int
) -> list[dict[str, Any]]:
    """How the energy-gradient penalty changes the agreement: each method with it against one without it.

    Args:
        table: from `hessian_agreement`.
        settings: of each method.
        bootstrap: resamples of the (held-out domain, seed) pairs.
    Returns:
        One entry per pair of methods that differ in λ2 alone, or, for a method without such a partner, per method
        without the penalty: with, without, also (other settings that differ), gain (of the cosine, mean over pairs),
        low, high (95 % interval), better, fits (how many of the pairs agree more, of how many).
    """
    import numpy as np

    cosine = table.pivot(index=["target", "seed"], columns="method", values="hessian_cosine")
    trained = {m: settings[m] for m in cosine.columns if m in settings and settings[m].get("train", False)}
    effects: list[dict[str, Any]] = []
    for method, options in trained.items():
        if not options.get("lambda_2"):
            continue
        partners = {
            other: sorted(n for n in {*options, *theirs} - {"lambda_2"} if options.get(n) != theirs.get(n))
            for other, theirs in trained.items()
            if not theirs.get("lambda_2")
        }
        exact = {other: names for other, names in partners.items() if not names}
        for other, names in (exact or partners).items():
            gains = (cosine[method] - cosine[other]).dropna().to_numpy()
            if not gains.size:
                continue
            draws = np.random.default_rng(0).integers(len(gains), size=(bootstrap, len(gains)))
            low, high = np.percentile(gains[draws].mean(axis=1), [2.5, 97.5])
            effects.append(
                {
                    "with": method,
                    "without": other,
                    "also": names,
                    "gain": float(gains.mean()),
                    "low": float(low),
                    "high": float(high),
                    "better": int((gains > 0).sum()),
                    "fits": len(gains),
                }
            )
    return effects
