"""In bulk a search is written at its end, all or nothing, and as run by run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from bilevel.tracking import MlflowTracker
from bilevel.tracking.store import open_store
from tests.tracking.reading import of_kind, runs, texts, told_once
from tests.tracking.studies import info, records, run_search

TIMES = ("wall_s", "clock/")


def held(tracker: MlflowTracker) -> Any:
    """Runs with everything in them, and traces, without ids and times."""
    client = tracker.store._client
    found = []
    for run in runs(tracker):
        history = {
            name: sorted((p.step, p.value) for p in client.get_metric_history(run.run_id, name))
            for name in run.metrics
            if not name.startswith(TIMES)
        }
        tags = {k: v for k, v in run.tags.items() if k != "mlflow.parentRunId"}
        params = dict(client.get_run(run.run_id).data.params)
        files = {n: t for n, t in texts(tracker, run).items() if n != "environment.json"}
        latest = {n: v for n, v in run.metrics.items() if not n.startswith(TIMES)}
        found.append((run.name, run.status, tags, params, latest, history, files))
    traces = client.search_traces(locations=[tracker.store.studies()["demo"]], max_results=400)
    told = [
        (
            trace.info.tags.get("call"),
            str(trace.info.state),
            trace.info.token_usage,
            [(s.name, s.inputs, s.outputs, s.status.description) for s in trace.data.spans],
        )
        for trace in traces
    ]
    return sorted(found, key=lambda run: run[0]), sorted(told, key=repr)


@pytest.fixture
def stores(migrated: Path, tmp_path: Path) -> Callable[[str], str]:
    def make(name: str) -> str:
        (tmp_path / name).mkdir()
        shutil.copy(migrated, tmp_path / name / "mlflow.db")
        return f"sqlite:///{tmp_path / name}/mlflow.db"

    return make


def test_what_is_written_in_bulk_is_what_is_written_run_by_run(
    stores: Callable[[str], str],
) -> None:
    slow, bulk = MlflowTracker(stores("slow")), MlflowTracker(stores("bulk"), bulk=True)
    for tracker in (slow, bulk):
        for seed in (1, 2):
            run_search(tracker, "A", seed, trials=4)
        assert tracker.problem == ""
    assert type(bulk.store) is not type(slow.store)
    assert held(bulk) == held(slow)
    linked = [
        len(t.store._client.search_traces(locations=[t.store.studies()["demo"]], run_id=r.run_id))
        for t in (slow, bulk)
        for r in sorted(of_kind(t, "trial"), key=lambda run: run.name)
    ]
    half = len(linked) // 2
    assert linked[:half] == linked[half:]
    assert sum(linked)


def test_telling_it_again_changes_nothing(stores: Callable[[str], str]) -> None:
    uri = stores("bulk")
    run_search(MlflowTracker(uri, bulk=True), "A", 1, trials=5)
    first = {run.run_id for run in runs(MlflowTracker(uri))}
    again = MlflowTracker(uri, bulk=True)
    run_search(again, "A", 1, trials=5)
    assert {run.run_id for run in runs(again)} == first
    told_once(again, 5)


def test_a_search_that_is_there_in_part_is_completed(stores: Callable[[str], str]) -> None:
    uri = stores("bulk")
    begun = MlflowTracker(uri)
    begun.start(info("A", 1))
    for record in [*records("A", 1, 5)][:3]:
        begun.trial(record)
    rest = MlflowTracker(uri, bulk=True)
    run_search(rest, "A", 1, trials=5)
    told_once(rest, 5)


def test_a_write_that_fails_leaves_no_row(
    stores: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = stores("bulk")
    tracker = MlflowTracker(uri, bulk=True)
    real = sqlalchemy.insert

    def failing(model: Any) -> Any:
        if model.__tablename__ == "metrics":
            raise OSError(28, "No space left on device")
        return real(model)

    with monkeypatch.context() as patch:
        patch.setattr("bilevel.tracking.bulk.sqlalchemy.insert", failing)
        run_search(tracker, "A", 1, trials=3)
    assert "No space left on device" in tracker.problem
    assert runs(MlflowTracker(uri)) == []
    again = MlflowTracker(uri, bulk=True)
    run_search(again, "A", 1, trials=3)
    told_once(again, 3)


def test_a_search_that_is_left_is_unfinished(stores: Callable[[str], str]) -> None:
    tracker = MlflowTracker(stores("bulk"), bulk=True)
    tracker.start(info("A", 1))
    for record in records("A", 1, 3):
        tracker.trial(record)
    assert runs(tracker, "tags.kind = 'trial'")
    tracker.leave()
    [search] = of_kind(tracker, "search")
    assert search.status == "RUNNING"
    assert "ended" not in search.tags


def test_what_cannot_be_written_in_bulk_is_told(
    stores: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bilevel.tracking.bulk.SqlAlchemyStore", tuple)
    store = open_store(stores("other"), None, bulk=True)
    assert type(store).__name__ == "Store"
    assert "writing run by run" in caplog.text
