"""Bad input ends in one clear line that names the file or the key, before any long work."""

from __future__ import annotations

import shutil

import pytest

pytestmark = pytest.mark.xdist_group("dvc")


def own_digits(clone) -> object:
    """The built-in images as a user's own folder."""
    folder = clone.folder / "data" / "mine"
    shutil.copytree(clone.folder / "data/builtin/digits", folder)
    clone.set(data={"root": "data/mine"})
    return folder


def refused(clone, *, stage: str) -> str:
    done = clone.run("python", "-m", f"stages.{stage}", check=False)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_unknown_key(clone):
    clone.set(finetune={"lamda_2": 1.0})
    assert "unknown key 'finetune.lamda_2'; did you mean 'lambda_2'?" in refused(clone, stage="ingest")


def test_mistyped_value(clone):
    clone.set(split={"shots": "many"})
    assert "split.shots" in refused(clone, stage="ingest")


def test_missing_folder(clone):
    clone.set(data={"root": "data/nowhere"})
    assert "data/nowhere" in refused(clone, stage="ingest")


def test_empty_class(clone):
    folder = own_digits(clone)
    (domain := next(p for p in sorted(folder.iterdir()) if p.is_dir()))
    (domain / "extra").mkdir()
    assert f"{domain.name}/extra" in refused(clone, stage="ingest")


def test_corrupted_image(clone):
    folder = own_digits(clone)
    image = sorted(folder.rglob("*.png"))[5]
    image.write_bytes(image.read_bytes()[:50])
    assert image.name in refused(clone, stage="ingest")


def test_corrupted_images_are_skipped_and_listed(clone):
    import pandas as pd

    folder = own_digits(clone)
    clone.set(data={"on_bad_image": "skip"})
    images = sorted(folder.rglob("*.png"))
    images[5].write_bytes(images[5].read_bytes()[:50])
    (folder / "parts.csv").write_text(f"path,part\n{images[7].relative_to(folder).as_posix()},test\n")
    done = clone.run("python", "-m", "stages.ingest")
    path = images[5].relative_to(folder).as_posix()
    assert f"continuing without 1 bad image: {path}: damaged image" in done.stderr
    assert f"{len(images) - 1:,} images, 1 refused; " in done.stdout
    assert list(pd.read_parquet(clone.folder / "artifacts/refused.parquet")["path"]) == [path]
    manifest = pd.read_parquet(clone.folder / "artifacts/manifest.parquet")
    assert len(manifest) == len(images) - 1
    assert list(manifest.loc[manifest["part"] == "test", "path"]) == [images[7].relative_to(folder).as_posix()]


def test_class_with_fewer_images_than_shots(clone):
    folder = own_digits(clone)
    few = sorted(p for p in folder.glob("*/three"))[0]
    for image in sorted(few.iterdir())[5:]:
        image.unlink()
    clone.run("python", "-m", "stages.ingest")
    line = refused(clone, stage="validate")
    assert f"{few.parent.name}/three" in line
    assert (clone.folder / "artifacts/validation/docs/index.html").is_file()


def test_checkpoint_that_does_not_fit(clone):
    clone.set(backbone={"model": "RN50"})
    line = refused(clone, stage="featurize")
    assert "croft-small.safetensors" in line
    assert "RN50" in line


def test_cuda_where_there_is_none(clone):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    clone.set(compute={"device": "cuda"})
    assert "cuda" in refused(clone, stage="featurize")
