"""A search may be told again, cut off anywhere, killed or started over: it is written once."""

import logging
import multiprocessing
import os
import signal
import time
from pathlib import Path
from random import Random

import pytest

from bilevel.tracking import BulkTracker, MlflowTracker
from bilevel.tracking.store import Store
from tests.tracking.reading import history, of_kind, runs, told_once
from tests.tracking.studies import info, records, run_search

CUTS = sorted(Random(5).sample(range(3, 50), 8))  # how many writes before the end
Make = type[MlflowTracker]


@pytest.fixture
def tracker(uri: str) -> MlflowTracker:
    return MlflowTracker(uri)


def test_telling_it_all_again_changes_nothing(tracker: MlflowTracker, uri: str) -> None:
    run_search(tracker, "A", 1, trials=5)
    before = {run.run_id for run in runs(tracker)}
    again = MlflowTracker(uri)
    run_search(again, "A", 1, trials=5)
    assert {run.run_id for run in runs(again)} == before
    told_once(again, 5)
    [search] = of_kind(again, "search")
    assert len(history(again, search, "confirmed_delta")) == 1


class _Cut(BaseException):
    """The process is gone."""


WRITES = (
    "create_run", "log_batch", "link_traces_to_run", "update_run", "set_terminated",
    "delete_traces", "delete_run",
)  # fmt: skip


def _cut_after(store: Store, writes: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The process is gone when it comes to its next request to the store; tells which it made."""
    made: list[str] = []

    def counted(client: object, name: str) -> None:
        real = getattr(client, name)

        def write(*args: object, **kwargs: object) -> object:
            if len(made) == writes:
                raise _Cut
            made.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(client, name, write)

    counted(store._tracing, "log_spans")
    counted(store, "files")
    counted(store, "file")
    for name in WRITES:
        counted(store._client, name)
    return made


def _told_until(tracker: MlflowTracker, writes: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    with monkeypatch.context() as patch:
        made = _cut_after(tracker.store, writes, patch)
        with pytest.raises(_Cut):
            run_search(tracker, "A", 1, trials=7)
    return made


@pytest.mark.parametrize("make", [MlflowTracker, BulkTracker])
@pytest.mark.parametrize("writes", CUTS)
def test_a_search_cut_off_anywhere_is_completed(
    uri: str, writes: int, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    _told_until(make(uri), writes, monkeypatch)
    second = make(uri)
    run_search(second, "A", 1, trials=7)
    told_once(second, 7)
    assert len(of_kind(second, "mechanism")) == 1


def _told_until_request(
    tracker: MlflowTracker, request: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*args: object, **kwargs: object) -> None:
        raise _Cut

    with monkeypatch.context() as patch:
        patch.setattr(tracker.store._client, request, gone)
        with pytest.raises(_Cut):
            run_search(tracker, "A", 1, trials=2)


@pytest.mark.parametrize(("make", "traced"), [(MlflowTracker, 1), (BulkTracker, 2)])
def test_traces_that_belong_to_no_run_yet_are_not_told_twice(
    uri: str, make: Make, traced: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _told_until_request(make(uri), "link_traces_to_run", monkeypatch)
    stored = MlflowTracker(uri).store
    unlinked = stored._client.search_traces(locations=[stored.studies()["demo"]])
    every = ["L1/T1/propose/0", "L1/T2/propose/0"]
    assert sorted(t.info.tags["call"] for t in unlinked) == every[:traced]
    for request in ("delete_traces", "delete_run", "link_traces_to_run"):  # and while mending it
        _told_until_request(make(uri), request, monkeypatch)
    again = make(uri)
    run_search(again, "A", 1, trials=2)
    told_once(again, 2)


def test_starting_over_leaves_the_old_search_marked(
    tracker: MlflowTracker, caplog: pytest.LogCaptureFixture
) -> None:
    run_search(tracker, "A", 1, trials=1)
    run_search(tracker, "A", 2, trials=1)
    assert tracker.supersede("demo", "A", 1) == 1
    tracker.start(info("A", 1, search_id="second"))
    tracker.start(info("A", 1, search_id="third"))
    assert "1 earlier search(es) of demo/A seed 1 are marked superseded" in caplog.text
    marks = [(r.tags["seed"], r.tags["superseded"]) for r in of_kind(tracker, "search")]
    assert sorted(marks) == [("1", "false"), ("1", "true"), ("1", "true"), ("2", "false")]


def test_a_failure_in_the_middle_is_told_once_and_mended_by_the_next_run(
    uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = MlflowTracker(uri)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    tracker.start(info("A", 1))
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(Path, "write_text", refuse)
        for record in records("A", 1, 3):
            tracker.trial(record)
        tracker.end("done", {})
    assert "No space left on device" in tracker.problem
    assert caplog.text.count("tracking stopped at trial trial/1/0") == 1
    again = MlflowTracker(uri)
    run_search(again, "A", 1, trials=3)
    told_once(again, 3)


def _search_until_killed(uri: str) -> None:
    run_search(MlflowTracker(uri), "A", 1, trials=40)


@pytest.mark.slow
def test_a_killed_process_leaves_a_search_that_the_next_one_completes(uri: str) -> None:
    tracker = MlflowTracker(uri)
    tracker.start(info("A", 1))
    process = multiprocessing.get_context("spawn").Process(target=_search_until_killed, args=(uri,))
    process.start()
    deadline_s = time.monotonic() + 60
    while len(of_kind(tracker, "trial")) < 4 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    cut = len(of_kind(tracker, "trial"))
    assert 4 <= cut < 41
    run_search(MlflowTracker(uri), "A", 1, trials=40)
    told_once(tracker, 40)
