"""The whole evaluation of one fit on a million test images of 400 classes, with every open-set score, in a process of
its own: how long it takes, and how much memory.

    python -m benchmarks.large_evaluation FOLDER IMAGES CLASSES WIDTH

makes the features in FOLDER, evaluates them and prints what it took as JSON; `make bench PARTS=scale` runs it twice.
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
    import pandas as pd

    from pipeline.features import Features
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
            command = [sys.executable, "-m", "benchmarks.large_evaluation", folder, *map(str, (count, classes, width))]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows


def make_world(folder: Path, images: int, classes: int, width: int) -> tuple[Features, pd.DataFrame, pd.DataFrame]:
    """Features on disk as `featurize` writes them, the splits and the manifest of one fit.

    Known images lie around their class's prompt, unknown ones around prompts of a third as many other classes.
    """
    import numpy as np
    import pandas as pd

    from pipeline.features import Features, read_features, write_features
    from pipeline.tables import MANIFEST, SPLITS, TEST_SHIFTED, TEST_UNKNOWN, TRAIN, UNKNOWN_CLASSES
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
    return read_features(folder), splits, manifest


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


def main() -> None:
    import resource
    import time

    from pipeline.detection.scores.spaces import options
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.params import Evaluate
    from pipeline.params.choice import Export

    folder, (images, classes, width) = Path(sys.argv[1]), map(int, sys.argv[2:])
    features, splits, manifest = make_world(folder, images, classes, width)
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    export = Export(method="zero-shot", score="mcm")
    settings = Evaluate(hessian_probes=0)
    result = evaluate(features, one_fit(features.text), splits, manifest, settings, export=export)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "images": images, "classes": classes, "width": width, "scores": len(list(options())),
                "resamples": settings.bootstrap, "seconds": round(seconds, 1), "peak GiB": round(peak / 2**20, 2),
                "of it before": round(made / 2**20, 2),
                "AUROC": round(float(result.metrics["zero-shot"]["mean"]["auroc"]), 4),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
