from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from pipeline.backbone.decode import Work, decoded
from pipeline.backbone.views import CLEAN, Views
from pipeline.errors import DataError, PipelineError

Pictures = tuple[Path, pd.DataFrame]
RECIPE = Views(32, 0)


def works(manifest: pd.DataFrame) -> list[Work]:
    columns = zip(manifest["path"], manifest["sha256"], strict=True)
    return [Work(path, content, 10_000, [(CLEAN, ""), (0, ""), (3, "")]) for path, content in columns]


def run(pictures: Pictures, **options: Any) -> list[tuple[Work, list[np.ndarray]]]:
    root, manifest = pictures
    return list(decoded(works(manifest), root, RECIPE, **{"ahead": 6, "workers": 2, **options}))


def test_processes_give_what_threads_give_in_the_same_order(pictures: Pictures) -> None:
    threads, processes = run(pictures), run(pictures, processes=True)
    assert [work for work, _ in threads] == works(pictures[1]) == [work for work, _ in processes]
    for (_, one), (_, other) in zip(threads, processes, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("processes", [False, True])
def test_error_of_a_worker_names_the_image(pictures: Pictures, processes: bool) -> None:
    root, manifest = pictures
    (root / manifest["path"][3]).write_bytes(b"")
    with pytest.raises(DataError, match=r"ink/cat/3\.png: has changed since it was ingested"):
        run(pictures, processes=processes)


def test_no_more_than_the_pictures_ahead_are_held(pictures: Pictures) -> None:
    root, manifest = pictures
    stream = decoded(works(manifest), root, RECIPE, ahead=6, workers=2)
    next(stream)
    time.sleep(0.2)
    for path in manifest["path"][3:]:  # 2 works of 3 pictures make 6; a third was queued when the first was taken
        (root / path).unlink()
    next(stream)
    next(stream)
    with pytest.raises(DataError, match="cannot be read"):
        next(stream)


def test_worker_that_was_ended_from_outside_is_reported(pictures: Pictures) -> None:
    root, manifest = pictures
    many = works(pd.concat([manifest] * 400))
    stream = decoded(many, root, RECIPE, ahead=6, workers=2, processes=True)
    next(stream)
    for child in psutil.Process().children():
        if "spawn_main" in " ".join(child.cmdline()):
            child.send_signal(signal.SIGKILL)
    with pytest.raises(PipelineError, match="a process that decodes images was killed"):
        list(stream)


def test_workers_end_with_the_process_that_is_killed(pictures: Pictures) -> None:
    root, manifest = pictures
    manifest.to_parquet(root / "manifest.parquet")
    code = f"""
import sys, time
from pathlib import Path
import pandas as pd
from pipeline.backbone.decode import Work, decoded
from pipeline.backbone.views import Views
if __name__ == "__main__":
    root = Path({str(root)!r})
    table = pd.read_parquet(root / "manifest.parquet")
    works = [Work(p, s, 10000, [(0, "")]) for p, s in zip(table["path"], table["sha256"])]
    stream = decoded(works, root, Views(32, 0), ahead=2, workers=2, processes=True)
    next(stream)
    print("ready", flush=True)
    time.sleep(60)
"""
    script = root / "script.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        workers = psutil.Process(child.pid).children(recursive=True)
        assert len(workers) >= 2
        child.kill()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
