"""Where a store is, and what is said when it cannot be used."""

import multiprocessing
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bilevel.errors import TrackingError
from bilevel.tracking import MlflowTracker, deep_link, resolve, ui_command
from bilevel.tracking.location import artifacts_root, shown
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
