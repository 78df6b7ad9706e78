"""MLflow on a real PostgreSQL."""

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bilevel.commands.sync import main as sync
from bilevel.errors import TrackingError
from bilevel.tracking import MlflowTracker
from tests.cluster.conftest import Postgres
from tests.cluster.support import SEARCH, bilevel
from tests.tracking.reading import told_once
from tests.tracking.studies import info, records, run_search

pytestmark = pytest.mark.slow


def _one_search(uri: str, folder: Path, seed: int) -> None:
    tracker = MlflowTracker(uri, str(folder / "artifacts"))
    run_search(tracker, "A", seed, trials=3)
    if tracker.problem:
        raise SystemExit(tracker.problem)


def test_four_processes_may_start_on_an_empty_database(database: str, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    started = [spawn.Process(target=_one_search, args=(database, tmp_path, s)) for s in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join(240)
    assert [process.exitcode for process in started] == [0, 0, 0, 0]
    store = MlflowTracker(database).store
    assert len(store.runs(store.studies()["demo"], "tags.kind = 'trial'")) == 16


def test_a_search_that_is_told_again_is_written_once(database: str, tmp_path: Path) -> None:
    for _ in range(2):
        tracker = MlflowTracker(database, str(tmp_path / "artifacts"))
        run_search(tracker, "A", 1, trials=3)
        assert tracker.problem == ""
        told_once(tracker, 3)


def test_a_text_that_holds_a_nul_is_written(database: str, tmp_path: Path) -> None:
    """A model may write anything that JSON can hold."""
    [record] = records("A", 1, 0)
    proposal = replace(record.trial.proposal, hypothesis="a\0b")
    tracker = MlflowTracker(database, str(tmp_path / "artifacts"))
    tracker.start(info())
    tracker.trial(replace(record, trial=replace(record.trial, proposal=proposal)))
    assert tracker.problem == ""


@pytest.mark.parametrize(
    ("password", "name", "said"),
    [
        ("wrong-secret", "postgres", "password authentication failed"),
        (None, "no_such_database", "does not exist"),
    ],
)
def test_a_refused_login_is_told_at_once_in_one_line(
    postgres: Postgres, password: str | None, name: str, said: str
) -> None:
    began_s = time.monotonic()
    uri = postgres.uri(name, password)
    with pytest.raises(TrackingError, match=rf"{said}.*tracking=none") as told:
        MlflowTracker(uri).start(info())
    assert time.monotonic() - began_s < 30
    assert "\n" not in str(told.value)
    assert (password or postgres.password) not in str(told.value)


def test_a_search_whose_login_is_refused_goes_on_and_is_synced(
    postgres: Postgres, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = postgres.uri("postgres", "wrong-secret")
    ran = bilevel(tmp_path, "study=s", *SEARCH, f"tracking.uri={refused}")
    assert ran.returncode == 0, ran.stderr
    assert "password authentication failed" in ran.stderr
    assert "wrong-secret" not in ran.stderr + ran.stdout
    assert "Traceback" not in ran.stderr
    monkeypatch.chdir(tmp_path)
    assert sync(["study=s", f"tracking.uri={database}"]) == 0
    store = MlflowTracker(database).store
    [search] = store.runs(store.studies()["s"], "tags.kind = 'search'")
    assert search.status == "FINISHED"
    report = bilevel(tmp_path, "study=s", f"tracking.uri={database}", module="bilevel.report")
    assert report.returncode == 0, report.stderr
    assert "level1" in report.stdout
