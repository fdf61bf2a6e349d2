"""The whole evaluation of one fit on a million test images of 400 classes, with every open-set score, in a process of
its own: how long it takes, and how much memory.

    python -m benchmarks.large_evaluation make FOLDER IMAGES CLASSES WIDTH
    python -m benchmarks.large_evaluation evaluate FOLDER

The first writes the features, the second evaluates them and prints what it took as JSON; `make bench PARTS=scale`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from pipeline.fits import Fits

Row = dict[str, Any]
IMAGES, CLASSES, WIDTH = 1_000_000, 400, 512
TRAINING, VALIDATION = 16, 8  # images of each class
UNKNOWN = 0.3  # of the test images
_ROWS = 50_000  # of features made at a time
_TARGET, _SEED = "shifted", 1


def large_evaluation(images: int = IMAGES, classes: int = CLASSES, width: int = WIDTH) -> list[Row]:
    """Seconds and peak memory, for a tenth of the images and for all."""
    rows = []
    for count in (images // 10, images):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.large_evaluation"]
            subprocess.run([*command, "make", folder, *map(str, (count, classes, width))], check=True)
            done = subprocess.run([*command, "evaluate", folder], check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows


def make_world(folder: Path, images: int, classes: int, width: int) -> None:
    """Write features as `featurize` does, the splits and the manifest of one fit.

    Known images lie around their class's prompt, unknown ones around prompts of a third as many other classes.
    """
    import numpy as np
    import pandas as pd

    from pipeline.features import Features, write_features
    from pipeline.tables import MANIFEST, SPLITS, TEST_SHIFTED, TEST_UNKNOWN, TRAIN, UNKNOWN_CLASSES, write_table
    from pipeline.tables import VALIDATION as VAL

    draw = np.random.default_rng(0)
    names = [f"class {number:04d}" for number in range(classes)]
    others = [f"other {number:04d}" for number in range(classes // 3)]
    every = [*names, *others]
    centres = draw.normal(size=(len(every), width)).astype(np.float32)
    seen = np.repeat(np.arange(classes), TRAINING + VALIDATION)
    unknown = int(UNKNOWN * images)
    tested = np.concatenate([np.arange(images - unknown) % classes, classes + np.arange(unknown) % len(others)])
    of = np.concatenate([seen, tested])
    roles = np.array([TRAIN] * TRAINING + [VAL] * VALIDATION, dtype=object)
    role = np.concatenate([np.tile(roles, classes), np.where(tested < classes, TEST_SHIFTED, TEST_UNKNOWN)])
    domain = np.where(np.arange(len(of)) < len(seen), "source", _TARGET)
    paths = pd.Series([f"{where}/{every[c]}/{n:07d}.png" for n, (where, c) in enumerate(zip(domain, of, strict=True))])
    views = np.full(len(of), -1)
    views[role == TRAIN] = np.arange((role == TRAIN).sum())
    folder.mkdir(parents=True, exist_ok=True)
    index = pd.DataFrame({"path": paths, "view_row": views})
    meta = {"classes": names, "logit_scale": 100.0}
    clean = np.lib.format.open_memmap(folder / "made.npy", mode="w+", dtype=np.float32, shape=(len(of), width))
    for start in range(0, len(of), _ROWS):
        part = of[start : start + _ROWS]
        clean[start : start + _ROWS] = centres[part] + 8 * draw.normal(size=(len(part), width)).astype(np.float32)
    write_features(Features(index, clean, np.zeros((1, 1, width), np.float32), centres[:classes], meta), folder)
    known = of < classes
    class_ = pd.Series(every).take(of).reset_index(drop=True)
    splits = pd.DataFrame(
        {
            "target": _TARGET, "seed": _SEED, "path": paths, "role": role, "class": class_,
            "label": np.where(known, of, -1), "open_set": np.where(known, "", UNKNOWN_CLASSES),
        }
    )[list(SPLITS.columns)].astype(dict(SPLITS.columns))  # fmt: skip
    hashes = draw.integers(0, 2**63, len(of), dtype=np.uint64)
    values: dict[str, Any] = dict.fromkeys(MANIFEST.columns, "") | {
        "path": paths, "domain": domain, "class": class_, "phash": [f"{value:016x}" for value in hashes],
        "sha256": [f"{value:064x}" for value in range(len(of))], "width": 64, "height": 64, "bytes": 100,
    }  # fmt: skip
    manifest = pd.DataFrame(values).astype(dict(MANIFEST.columns))
    write_table(splits, folder / "splits.parquet", SPLITS)
    write_table(manifest, folder / "manifest.parquet", MANIFEST)


def one_fit(text: np.ndarray) -> Fits:
    """Zero-shot, as `finetune` would write it."""
    import numpy as np
    import pandas as pd

    from pipeline.fits import Fits, Head
    from pipeline.tables import FITS, HISTORY

    prototypes = text / np.linalg.norm(text, axis=1, keepdims=True)
    row = {
        "fit": 0, "method": "zero-shot", "kind": "zero-shot", "target": _TARGET, "seed": _SEED, "epoch": -1,
        "validation_accuracy": 0.9, "diverged": False, "scalars": "{}", "settings": "{}",
    }  # fmt: skip
    table = pd.DataFrame([row]).astype(dict(FITS.columns))
    history = pd.DataFrame(columns=list(HISTORY.columns)).astype(dict(HISTORY.columns))
    return Fits(table, {0: Head("zero-shot", {"prototypes": prototypes}, {"scale": 100.0})}, history)


def evaluated(folder: Path) -> Row:
    """Evaluate what `make_world` wrote, and say what it took."""
    import resource
    import time

    from pipeline.detection.scores.spaces import options
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.features import read_features
    from pipeline.params import Evaluate
    from pipeline.params.choice import Export
    from pipeline.tables import MANIFEST, SPLITS, read_table

    features = read_features(folder)
    splits = read_table(folder / "splits.parquet", SPLITS)
    manifest = read_table(folder / "manifest.parquet", MANIFEST)
    export, settings = Export(method="zero-shot", score="mcm"), Evaluate(hessian_probes=0)
    started, busy = time.perf_counter(), time.process_time()
    result = evaluate(features, one_fit(features.text), splits, manifest, settings, export=export)
    numbers = result.metrics["zero-shot"]["mean"]
    return {
        "images": numbers["n"] + numbers["n_unknown"],
        "classes": len(features.meta["classes"]),
        "width": features.clean.shape[1],
        "scores": len(list(options())),
        "resamples": settings.bootstrap,
        "seconds": round(time.perf_counter() - started, 1),
        "CPU seconds": round(time.process_time() - busy, 1),
        # With the pages of clean.npy that are in memory: a file, which the system may drop.
        "peak GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "of it features": round(features.clean.nbytes / 2**30, 2),
        "AUROC": round(float(numbers["auroc"]), 4),
    }


def main() -> None:
    action, folder, *sizes = sys.argv[1:]
    if action == "make":
        make_world(Path(folder), *map(int, sizes))
    else:
        print(json.dumps(evaluated(Path(folder))))


if __name__ == "__main__":
    main()
