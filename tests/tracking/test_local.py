"""Stores on this machine: in folders of any usual name the files lie where they belong; others are refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from pipeline.tracking.client import check_store, tracking_uri
from pipeline.tracking.local import sqlite_file, sqlite_uri

ROOT = Path(__file__).parents[2]
NAMES = ["plain", "a b", "ä🐈", "a#b", "a?b", "50%", "it's", 'a"b', "a&b;c", "[b]", "{b}", "a :b", "ä 🐈 #?%'\"&;"]
CONNECT = """
from pathlib import Path
from pipeline.tracking.client import connect, experiment_id
client = connect(Path.cwd())
print(client.get_experiment(experiment_id(client, Path.cwd())[1]).artifact_location)
print(client.get_experiment("0").artifact_location)
"""


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize("name", NAMES)
def test_sqlalchemy_opens_the_file_that_is_meant(name: str, tmp_path: Path) -> None:
    import sqlalchemy

    (tmp_path / name).mkdir()
    file = tmp_path / name / "x.db"
    uri = sqlite_uri(file)
    assert sqlite_file(uri) == file
    engine = sqlalchemy.create_engine(uri)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("create table t (a int)"))
    engine.dispose()
    assert file.stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_options_of_a_chosen_database_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db?timeout=5")
    assert tracking_uri(Path("/p")) == "sqlite:////p/other.db?timeout=5"
    assert tracking_uri(Path("/p?")) == "sqlite+pysqlite:///file:/p%3F/other.db?uri=true&timeout=5"
    assert sqlite_file("sqlite:////p/other.db?timeout=5") == Path("/p/other.db")


def test_other_databases_have_no_file() -> None:
    assert sqlite_file("postgresql://host/mlflow") is None
    assert sqlite_file("sqlite:///:memory:") is None


def test_mlflow_keeps_all_in_a_folder_with_every_usual_character(tmp_path: Path) -> None:
    root = tmp_path / NAMES[-1]
    root.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "_MLFLOW", "CROFT"))}
    done = subprocess.run(
        [sys.executable, "-c", CONNECT], cwd=root, env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    location = (root / ".croft/mlartifacts").as_uri()
    assert done.stdout.split() == [location, f"{location}/0"]
    assert [path.name for path in tmp_path.iterdir()] == [root.name]
    assert (root / ".croft/mlflow.db").is_file()


@pytest.mark.parametrize(("name", "codes"), [("a%20b", "%20"), ("%41%e4%41", "%41, %e4"), ("x/100%25/y", "%25")])
def test_a_folder_that_mlflow_decodes_is_refused_with_its_name_and_the_characters(
    name: str, codes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / name
    message = (
        f"{root}: MLflow reads {codes} in the name of a folder as the code of another character and does not find the "
        "models that are stored there; rename the folder, or set MLFLOW_TRACKING_URI to a server"
    )
    with pytest.raises(TrackingError, match=f"^{re.escape(message)}$"):
        check_store(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")  # its models lie where the server says
    check_store(root)


@pytest.mark.parametrize("name", [*NAMES, "100%", "%zz"])
def test_other_folders_are_not_refused(name: str, tmp_path: Path) -> None:
    check_store(tmp_path / name)
