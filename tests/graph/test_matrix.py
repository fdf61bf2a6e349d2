"""Whatever was changed or changed back, each output names the one run that computed it: the states of a workspace.

Which stages have to run is written out by hand, from the dependencies in dvc.yaml. test_matrix_queue.py goes through
the states of experiments, test_matrix_kill.py through those after a kill.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from clone import SHRUNK, STAGES, Clone, copy_project, pulled
from identities import Ledger
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dvc"), pytest.mark.timeout(1800)]
IMAGES = 16  # of each class and domain
# Each changes what its own stages read, and nothing that these write: what follows them is not run again.
LAST = ("register", "model", ["register"])
MIDDLE = ("featurize", "batch_size", ["featurize", "finetune"])  # the embeddings are in the store


def test_images_and_parameters_changed_and_changed_back(fresh: Clone, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", None)
    copy_project(clone.folder)
    for folder in sorted((fresh.folder / "data/builtin/digits").glob("*/*")):
        target = clone.folder / "data/mine" / folder.relative_to(folder.parents[1])
        target.mkdir(parents=True)
        for image in sorted(folder.iterdir())[:IMAGES]:
            shutil.copyfile(image, target / image.name)
    clone.set(**SHRUNK)
    clone.set(data={"root": "data/mine"})
    clone.run("dvc", "add", "-q", "data/mine")
    (clone.folder / ".croft").mkdir()
    ledger = Ledger(clone.folder / ".croft/mlflow.db")

    def repro(executed: list[str]) -> dict[str, str]:
        return ledger.after(clone, clone.run("dvc", "repro").stdout, executed)

    first = repro(STAGES)
    assert repro([]) == first

    image = sorted((clone.folder / "data/mine").glob("*/one/*"))[0]
    bytes_before = image.read_bytes()
    with Image.open(image) as picture:
        picture.putpixel((0, 0), 128)
        picture.save(image)
    changed = repro(STAGES)  # they all read images, or what is made of them
    assert repro([]) == changed
    image.write_bytes(bytes_before)
    assert repro([]) == first
    with Image.open(image) as picture:
        picture.putpixel((0, 0), 128)
        picture.save(image)
    assert repro([]) == changed

    clone.set(finetune={"ratio_image": 0.5})
    both = repro(["finetune", "evaluate", "export", "register"])
    image.write_bytes(bytes_before)
    other = repro(["finetune", "evaluate", "export", "register"])  # of the first images
    assert {stage: other[stage] for stage in STAGES[:4]} == {stage: first[stage] for stage in STAGES[:4]}
    clone.set(finetune={"ratio_image": 0.2})
    assert repro([]) == first
    assert len({*first.values(), *changed.values(), *both.values(), *other.values()}) == 24


def test_two_parameters_back_and_forth(clone: Clone, store: Path) -> None:
    ledger = Ledger(store)

    def repro(executed: list[str], **values: object) -> dict[str, str]:
        for section, key, _ in (LAST, MIDDLE):
            if key in values:
                clone.set(**{section: {key: values[key]}})
        return ledger.after(clone, clone.run("dvc", "repro").stdout, executed)

    neither = repro([])
    last = repro(LAST[2], model="other")
    both = repro(MIDDLE[2], batch_size=7)
    assert both == {**last, "featurize": both["featurize"], "finetune": both["finetune"]}
    middle = repro([], model="croft")
    assert middle == {**both, "register": neither["register"]}
    assert repro([], batch_size=256) == neither
    assert repro([], batch_size=7, model="other") == both
    assert repro([], batch_size=256) == last
    assert repro(MIDDLE[2], batch_size=9) != last
    assert repro([], batch_size=256, model="croft") == neither


@pytest.fixture(params=["shared store", "own store"])
def elsewhere(
    request: pytest.FixtureRequest, clone: Clone, store: Path, tmp_path: Path
) -> Callable[[], tuple[Clone, Ledger]]:
    """Call to make a second clone with the outputs of `clone`, and the ledger of the stores of both."""

    def make() -> tuple[Clone, Ledger]:
        if request.param == "shared store":
            return pulled(clone, tmp_path, store), Ledger(store)
        other = pulled(clone, tmp_path, None)
        (other.folder / ".croft").mkdir(exist_ok=True)
        return other, Ledger(store, other.folder / ".croft/mlflow.db")

    return make


def test_pulled_elsewhere_changed_there_and_pulled_back(
    clone: Clone, elsewhere: Callable[[], tuple[Clone, Ledger]]
) -> None:
    first = clone.run_ids()
    other, ledger = elsewhere()
    assert ledger.after(other, other.run("dvc", "repro").stdout, []) == first

    # The first clone goes on; the second asks for the same, and has never seen the dvc.lock of it.
    clone.set(register={"model": "other"})
    changed = ledger.after(clone, clone.run("dvc", "repro").stdout, LAST[2])
    clone.run("dvc", "push", "-q", "--run-cache")
    other.set(register={"model": "other"})
    assert ledger.after(other, other.run("dvc", "repro", "--pull").stdout, []) == changed

    other.set(register={"model": "third"}, featurize={"batch_size": 7})
    made = ledger.after(other, other.run("dvc", "repro").stdout, [*MIDDLE[2], *LAST[2]])
    assert {stage for stage in STAGES if made[stage] != first[stage]} == {*MIDDLE[2], *LAST[2]}
    assert ledger.after(other, other.run("dvc", "repro").stdout, []) == made

    other.run("dvc", "push", "-q")
    for name in ("dvc.lock", "params.yaml"):
        shutil.copy2(other.folder / name, clone.folder / name)
    clone.run("dvc", "pull", "-q")
    assert ledger.after(clone, clone.run("dvc", "repro").stdout, []) == made
    clone.set(register={"model": "croft"}, featurize={"batch_size": 256})
    assert ledger.after(clone, clone.run("dvc", "repro").stdout, []) == first
