"""Features of real images in the pipeline's form: who may see what, and the open sets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.data.protocols import make_splits
from pipeline.errors import DataError
from pipeline.features import Features
from pipeline.params import Split
from pipeline.tables import DEPLOY, TEST_ID, TEST_SHIFTED, TRAIN, VALIDATION

LOGIT_SCALE = 100.0  # CLIP's
PACS_SHOTS, PACS_VALIDATION = 16, 8  # images of a class and source domain
CALTECH_SHOTS = 12  # of 16; the file's own validation part chooses
IMAGENET_SHOTS, IMAGENET_VALIDATION = 5, 2  # of 7; there is no other part
PACS_OPEN_SETS = ("dtd", "caltech101")
# Classes of Caltech-101 that show what a class of PACS shows.
PACS_OVERLAPS = {"dalmatian", "snoopy", "elephant", "electric_guitar", "mandolin", "Faces", "Faces_easy"}


@dataclass(frozen=True)
class Experiment:
    """Features and a protocol.

    features: of all known images; one view each, since there are no images to augment.
    splits: SPLITS table, without the deploy fit.
    open_sets: (M, D) raw features by name.
    known: by target, the role of the images that stand against the open sets.
    pooled: whether the mean over targets means something, so that tables may show it.
    rates: learning rates to choose from, for adapters.
    penalties: λ2 to choose from, at the rate and λ1 that were best.
    words: (W, D) raw text features of names of other things, where there is such a list.
    """

    features: Features
    splits: pd.DataFrame
    open_sets: Mapping[str, np.ndarray]
    known: Mapping[str, str]
    pooled: bool
    rates: Sequence[float]
    penalties: Sequence[float]
    words: np.ndarray | None = None


def pacs(folder: Path, *, seeds: Sequence[int], targets: Sequence[str] = ()) -> Experiment:
    """PACS, each domain (or each of `targets`) held out in turn.

    Raises:
        DataError: `pacs_features.npz` is missing.
    """
    arrays = _read(folder / "pacs_features.npz")
    names = [str(name) for name in arrays["classnames"]]
    domains, classes = [str(domain) for domain in arrays["domains"]], [names[label] for label in arrays["labels"]]
    paths = [f"{domain}/{name}/{row:05d}" for row, (domain, name) in enumerate(zip(domains, classes, strict=True))]
    manifest = pd.DataFrame(
        {
            "path": paths,
            "domain": domains,
            "class": classes,
            "pool": "",
            "part": "",
            "group": "",
            # In place of the image's own hash: it only decides the order in which a split takes images.
            "sha256": [hashlib.sha256(path.encode()).hexdigest() for path in paths],
        }
    )
    split = Split(targets=tuple(targets), seeds=tuple(seeds), shots=PACS_SHOTS, validation=PACS_VALIDATION)
    splits = make_splits(manifest, sorted(names), split)
    splits = splits[splits["target"] != DEPLOY]
    open_sets = {name: _float(arrays[f"{name}_features"]) for name in PACS_OPEN_SETS}
    kept = ~np.isin(arrays["caltech101_classes"], list(PACS_OVERLAPS))
    open_sets["caltech101"] = open_sets["caltech101"][kept]
    features = _features(paths, _float(arrays["image_features"]), _float(arrays["text_features"]), names)
    return Experiment(
        features, splits, open_sets, dict.fromkeys(splits["target"].unique(), TEST_SHIFTED),
        pooled=True, rates=(0.002, 0.02, 0.06, 0.2), penalties=(1.0, 10.0, 100.0),
    )  # fmt: skip


def clip(folder: Path, *, seeds: Sequence[int], targets: Sequence[str] = ()) -> Experiment:
    """CLIP ViT-B/32 on Caltech-101 and ImageNet, 36 classes that both have; each is held out while the other trains.

    Held out `imagenet`: trained on the few-shot part of Caltech-101, whose test part stands against the open sets.
    Held out `caltech`: trained on the few ImageNet images there are; the known images are that same test part. Unknown
    are Caltech-101's other classes (near), DTD and Flowers (far).

    Raises:
        DataError: `clip_vitb32.npz` is missing.
    """
    arrays = _read(folder / "clip_vitb32.npz")
    names = [str(name) for name in arrays["classnames"]]
    images = _float(arrays["features"])
    known = arrays["labels"] >= 0
    caltech, test = arrays["domain"] == "caltech", arrays["split"] == "test"
    table = pd.DataFrame({"domain": arrays["domain"], "part": arrays["split"], "label": arrays["labels"]})[known]
    table["class"] = [names[label] for label in table["label"]]
    table["path"] = [f"{domain}/{name}/{row:05d}" for row, domain, name in table[["domain", "class"]].itertuples()]
    parts = [
        _assign(table, target, seed)
        for target in ("caltech", "imagenet")
        if not targets or target in targets
        for seed in seeds
    ]
    splits = pd.concat(parts, ignore_index=True).assign(open_set="")
    splits["label"] = splits["class"].map({name: place for place, name in enumerate(sorted(names))})
    open_sets = {
        "near": images[caltech & test & ~known],
        "dtd": _float(arrays["dtd_features"]),
        "flowers": _float(arrays["flowers_features"]),
    }
    features = _features(list(table["path"]), images[known], _float(arrays["text_features"]), names)
    return Experiment(
        features, splits, open_sets, {"imagenet": TEST_ID, "caltech": TEST_SHIFTED},
        pooled=False, rates=(0.002, 0.02, 0.06), penalties=(1.0, 10.0),
        words=_float(arrays["negative_text_features"]) if "negative_text_features" in arrays else None,
    )  # fmt: skip


def _assign(table: pd.DataFrame, target: str, seed: int) -> pd.DataFrame:
    """The images of one fit with their roles; those of no role are left out."""
    # The order in which a seed takes images, the same one for both targets.
    shuffled = table.iloc[np.random.default_rng(seed).permutation(len(table))]
    caltech, part = shuffled["domain"] == "caltech", shuffled["part"]
    test, role = caltech & (part == "test"), pd.Series("", index=shuffled.index)
    source = caltech & (part == "fewshot") if target == "imagenet" else ~caltech
    place = shuffled[source].groupby("class").cumcount()
    if target == "imagenet":
        role[caltech & (part == "val")] = VALIDATION
        role[place.index[place < CALTECH_SHOTS]] = TRAIN
        role[test], role[~caltech] = TEST_ID, TEST_SHIFTED
    else:
        role[place.index[place < IMAGENET_SHOTS]] = TRAIN
        role[place.index[place.between(IMAGENET_SHOTS, IMAGENET_SHOTS + IMAGENET_VALIDATION - 1)]] = VALIDATION
        role[test] = TEST_SHIFTED
    rows = shuffled.assign(target=target, seed=seed, role=role)
    return rows.loc[rows["role"] != "", ["target", "seed", "path", "role", "class"]]


def _read(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        raise DataError(f"{file}: no such file; set CROFT_REAL_DATA to the folder that holds it")
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _float(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)


def _features(paths: list[str], images: np.ndarray, text: np.ndarray, names: list[str]) -> Features:
    order = sorted(range(len(names)), key=names.__getitem__)
    return Features(
        index=pd.DataFrame({"path": paths, "view_row": range(len(paths))}),
        clean=images,
        views=images[:, None],  # no image, hence no augmented view: every epoch sees the one feature
        text=text[order],
        meta={"classes": [names[position] for position in order], "logit_scale": LOGIT_SCALE},
    )


EXPERIMENTS = {"clip": clip, "pacs": pacs}
