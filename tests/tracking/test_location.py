"""Where a store is, and what is said when it cannot be used."""

import multiprocessing
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from mlflow.utils.file_utils import local_file_uri_to_path

from bilevel.errors import TrackingError
from bilevel.tracking import BulkTracker, MlflowTracker, deep_link, resolve, ui_command
from bilevel.tracking.location import (
    address,
    artifacts_root,
    local_folder,
    local_path,
    restore_command,
    shown,
)
from tests.tracking.studies import info, run_search

LINK = "http://127.0.0.1:5000/#/experiments/7/runs?viewStateShareKey=searches&compareRunsMode=CHART"


def test_a_relative_path_becomes_absolute(tmp_path: Path) -> None:
    assert resolve("sqlite:///a/b.db", tmp_path) == f"sqlite:///{tmp_path}/a/b.db"
    assert resolve("sqlite:////a/b.db", tmp_path) == "sqlite:////a/b.db"
    assert resolve("http://host:5000/") == "http://host:5000"


@pytest.mark.parametrize("uri", ["./mlruns", "file:///mlruns", "sqlite:///", "sqlite://x.db"])
def test_what_is_no_store_is_refused(uri: str) -> None:
    with pytest.raises(TrackingError, match="expected"):
        resolve(uri)


def test_artifacts_are_beside_the_database() -> None:
    assert artifacts_root("sqlite:////a/mlruns/mlflow.db") == "/a/mlruns/artifacts"
    assert artifacts_root("http://host") is None
    assert artifacts_root("http://host", "s3://bucket/x") == "s3://bucket/x"


def test_the_command_and_the_link() -> None:
    command = ui_command("sqlite:////a/mlflow.db")
    assert command.startswith("MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false ")
    assert command.endswith(" -m mlflow ui --backend-store-uri sqlite:////a/mlflow.db --workers 1")
    assert deep_link("sqlite:////a/mlflow.db", "7") == LINK
    assert deep_link("https://host/", "7").startswith("https://host/#/experiments/7/runs?")
    assert ui_command("https://host") == "open https://host"


ODD = "we?rd #1 100%41 é"


def test_a_path_is_taken_as_it_stands_and_written_as_others_read_it(tmp_path: Path) -> None:
    uri = resolve(f"sqlite:///{ODD}/m.db", tmp_path)
    assert local_path(uri) == tmp_path / ODD / "m.db"
    read = sqlalchemy.make_url(address(uri))
    assert (read.database, read.query) == (str(tmp_path / ODD / "m.db"), {})
    place = artifacts_root(uri)
    assert place is not None
    read_back: Any = local_file_uri_to_path
    assert read_back(place) == str(tmp_path / ODD / "artifacts")
    plain = resolve("sqlite:///my results #1 é/m.db", tmp_path)
    assert address(plain) == plain
    assert artifacts_root("sqlite:////a/my results é/m.db") == "/a/my results é/artifacts"
    for command in (ui_command(uri), restore_command(uri, "7")):
        assert address(uri) in shlex.split(command.replace("MLFLOW_TRACKING_URI=", ""))


@pytest.mark.parametrize(
    ("place", "folder"),
    [
        ("/a/my results #1", "/a/my results #1"),
        ("file:///a/we%3Frd%20%231", "/a/we?rd #1"),
        ("file://localhost/a", "/a"),
        ("file://host/a", None),
        ("mlflow-artifacts:/1/a/artifacts", None),
        ("s3://bucket/x", None),
        ("dbfs:/databricks/x", None),
    ],
)
def test_a_folder_is_told_from_what_others_hold(place: str, folder: str | None) -> None:
    assert local_folder(place) == (folder and Path(folder))


@pytest.mark.parametrize("make", [MlflowTracker, BulkTracker])
def test_a_search_lies_in_the_folder_that_was_named(
    tmp_path: Path, migrated: Path, make: type[MlflowTracker]
) -> None:
    (tmp_path / ODD).mkdir()
    shutil.copy(migrated, tmp_path / ODD / "mlflow.db")
    tracker = make(f"sqlite:///{tmp_path}/{ODD}/mlflow.db")
    run_search(tracker, "A", 1, trials=1)
    assert tracker.problem == ""
    assert [path.name for path in tmp_path.iterdir()] == [ODD]
    [run] = tracker.store.runs(tracker.store.studies()["demo"], "tags.kind = 'search'")
    assert "confirmed_delta" in run.metrics
    assert tracker.store.text(run.run_id, "config.yaml") == "arm: A\nseed: 1\n"
    assert (
        tmp_path / ODD / "artifacts" / "demo" / run.run_id / "artifacts" / "config.yaml"
    ).exists()


@pytest.mark.slow  # a new database
def test_a_deleted_study_is_restored_by_the_command_that_is_printed(tmp_path: Path) -> None:
    tracker = MlflowTracker(f"sqlite:///{tmp_path}/{ODD}/mlflow.db")
    run_search(tracker, "A", 1, trials=0)
    tracker.store._client.delete_experiment(tracker.store.studies()["demo"])
    with pytest.raises(TrackingError, match="was deleted") as told:
        tracker.start(info())
    [printed] = re.findall(r"restore it with `(.*)`", str(told.value))
    subprocess.run(printed, shell=True, cwd=Path.cwd(), check=True, capture_output=True)
    run_search(tracker, "A", 2, trials=0)
    assert tracker.problem == ""


def test_a_password_is_never_shown() -> None:
    assert shown("postgresql://me:secret@db:5432/x") == "postgresql://me:***@db:5432/x"
    assert "secret" not in ui_command("postgresql://me:secret@db:5432/x")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql://me:secret@127.0.0.1:9/x"])
def test_an_unreachable_store_is_told_at_once(uri: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(TrackingError, match=r"does not answer.*tracking=none") as told:
        MlflowTracker(uri).start(info())
    assert "\n" not in str(told.value)
    assert "secret" not in str(told.value)
    assert time.monotonic() - began_s < 5 + 10  # the second part is the import of mlflow


def test_a_place_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match=r"file/m.db.*tracking\.uri=.*tracking=none") as told:
        MlflowTracker(f"sqlite:///{tmp_path}/file/m.db").start(info())
    assert "\n" not in str(told.value)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_text("not a database, but long enough to be taken for one" * 40)
    with pytest.raises(TrackingError, match="not a database"):
        MlflowTracker(f"sqlite:///{tmp_path}/m.db").start(info())


def test_importing_the_package_does_not_import_mlflow() -> None:
    code = (
        "import sys, bilevel.tracking, bilevel.report, bilevel.report.__main__ as m; "
        "bilevel.tracking.MlflowTracker(); "
        "sys.exit(any(n in sys.modules for n in ('mlflow', 'matplotlib', 'scipy', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_database_is_in_wal_mode(migrated: Path) -> None:
    connection = sqlite3.connect(migrated)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.slow
def test_leftovers_of_a_deleted_database_are_not_mixed_into_the_new_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mlflow.db"
    (tmp_path / "mlflow.db-wal").write_bytes(b"old pages" * 1000)
    (tmp_path / "mlflow.db-shm").write_bytes(b"old index" * 1000)
    assert MlflowTracker(f"sqlite:///{path}").store.studies() == {}
    left = tmp_path / "mlflow.db-wal"
    assert not left.exists() or b"old pages" not in left.read_bytes()


def _one_search(uri: str, seed: int) -> None:
    tracker = MlflowTracker(uri)
    run_search(tracker, "A", seed, trials=3)
    if tracker.problem:
        raise SystemExit(tracker.problem)


@pytest.mark.slow
def test_four_processes_may_start_on_no_database(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "mlruns", ignore_errors=True)
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    spawn = multiprocessing.get_context("spawn")
    started = [spawn.Process(target=_one_search, args=(uri, seed)) for seed in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0, 0, 0, 0]
    store = MlflowTracker(uri).store
    found = store.runs(store.studies()["demo"], "tags.kind = 'trial'")
    assert len(found) == 16
