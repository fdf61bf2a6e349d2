"""(g) The exported graph in ONNX Runtime against torch eager, and int8 against fp32, on the same batch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.encoding import MODEL, _backbone
from benchmarks.measure import Ratio, alternate, ratio
from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.export.graph import DeployedModel
    from pipeline.params import Params

Row = dict[str, Any]
THREADS = 2
BATCHES = (1, 8, 32)
CLASSES = 7
AT_LEAST = 0.2  # seconds that a measurement of one rival takes, so that small graphs are called many times
_CALIBRATION = 32  # images


def exported(params: Params, artifacts: Path, rounds: int) -> list[Row]:
    """Both models with all rivals in turn, on two threads of the CPU.

    The deployed model of the artifacts, and ViT-B-32 of random weights with an adapter head: the time of fp32 does not
    depend on weights, and that of int8 does not either. Parity is not measured here; the export stage does that.
    """
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for model, make in (("built-in", lambda folder: _built_in(params, artifacts)), (MODEL, _vit)):
            folder = Path(name) / model
            folder.mkdir()
            try:
                module, size = make(folder)
            except DataError as error:
                print(f"{model} left out: {error}")
                continue
            rows += list(_cases(model, module, size, folder, rounds))
            shutil.rmtree(folder)
    if not rows:
        raise DataError("nothing to measure")
    return rows


def _cases(name: str, module: DeployedModel, size: int, folder: Path, rounds: int) -> Iterator[Row]:
    import torch

    from pipeline.export.graph import export_onnx
    from pipeline.export.variants import to_int8, to_static_int8
    from pipeline.serving.session import make_session

    pixels = np.random.default_rng(0).integers(0, 256, (max(_CALIBRATION, *BATCHES), size, size, 3), dtype=np.uint8)
    graphs = {name: folder / f"{name}.onnx" for name in ("fp32", "int8", "static int8")}
    export_onnx(module, size, graphs["fp32"])
    to_int8(graphs["fp32"], graphs["int8"])
    to_static_int8(graphs["fp32"], graphs["static int8"], pixels[:_CALIBRATION])
    sessions = {name: make_session(path, "cpu", THREADS, spinning=False) for name, path in graphs.items()}
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        for batch in BATCHES:
            images = pixels[:batch]
            actions = {"torch": _eager(module, images)} | {
                rival: (lambda session=session, images=images: session.run(None, {"images": images}))
                for rival, session in sessions.items()
            }
            yield _case(name, batch, actions, rounds)
    finally:
        torch.set_num_threads(before)


def _case(name: str, batch: int, actions: dict[str, Callable[[], object]], rounds: int) -> Row:
    first = alternate(actions, 1)
    repeats = max(1, round(AT_LEAST / max(times.wall[0] for times in first.values())))
    times = alternate(actions, rounds, repeats=repeats)
    fast = ratio(times["torch"], times["fp32"])
    return {
        "model": name,
        "batch": batch,
        "fp32 against torch": fast.median,
        **_range(fast),
        "int8 against fp32": (dynamic := ratio(times["fp32"], times["int8"])).median,
        **_range(dynamic, " "),
        "static int8 against fp32": (static := ratio(times["fp32"], times["static int8"])).median,
        **_range(static, "  "),
        "fp32, ms": 1000 * float(np.median(times["fp32"].wall)),
    }


def _range(found: Ratio, mark: str = "") -> dict[str, float]:
    return {f"lowest{mark}": found.low, f"highest{mark}": found.high}


def _eager(module: DeployedModel, images: np.ndarray) -> Callable[[], object]:
    import torch

    tensor = torch.from_numpy(images)

    def run() -> object:
        with torch.inference_mode():
            return module(tensor)

    return run


def _built_in(params: Params, artifacts: Path) -> tuple[DeployedModel, int]:
    """The deployed model as the export stage assembles it."""
    from pipeline.backbone.load import load_backbone
    from pipeline.decision.fit import Limits
    from pipeline.detection.scores.spaces import option_of
    from pipeline.export.deploy import deploy
    from pipeline.features import read_features
    from pipeline.fits import read_fits
    from pipeline.splits import domain_of
    from pipeline.tables import MANIFEST, SPLITS, read_json, read_table

    choice = read_json(artifacts / "evaluation" / "choice.json")
    backbone = load_backbone(params.backbone.model, Path(params.backbone.weights), "cpu")
    module, _, _ = deploy(
        backbone.image_tower, read_features(artifacts / "features"), read_fits(artifacts / "fits"),
        read_table(artifacts / "splits.parquet", SPLITS), method=choice["method"], option=option_of(choice["score"]),
        limits=Limits(params.export.accept, params.export.threshold),
        domains=domain_of(read_table(artifacts / "manifest.parquet", MANIFEST)),
    )  # fmt: skip
    return module, backbone.preprocessing.size


def _vit(folder: Path) -> tuple[DeployedModel, int]:
    """ViT-B-32 of random weights, two adapters and the energy."""
    from pipeline.detection.scores.spaces import option_of
    from pipeline.export.graph import Deciding, DeployedModel
    from pipeline.fits import Head

    backbone, draw = _backbone(folder, "cpu"), np.random.default_rng(0)
    width = backbone.width
    arrays = {
        "image_weight": np.eye(width, dtype=np.float32),
        "prototypes": draw.normal(size=(CLASSES, width)).astype(np.float32),
    }
    head = Head("adapters", arrays, {"ratio_image": 0.2, "scale": 100.0})
    size, mean, std = backbone.preprocessing
    return DeployedModel(backbone.image_tower, head, mean=mean, std=std, deciding=Deciding(option_of("energy"))), size
