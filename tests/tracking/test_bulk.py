"""What is written when a search is over is what is written as it goes on."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bilevel.trace import Decision, Objective
from bilevel.tracking import BulkTracker, MlflowTracker, TrialRecord
from tests.tracking.reading import of_kind, runs, texts, told_once
from tests.tracking.studies import call, info, mechanism, outer, records, run_search, trial

Tell = Callable[[MlflowTracker, Path], None]


@pytest.fixture
def stores(migrated: Path, tmp_path: Path) -> tuple[str, str]:
    """Two tracking stores, one for each tracker."""
    found = []
    for name in ("plain", "bulk"):
        path = tmp_path / name / "mlflow.db"
        path.parent.mkdir()
        shutil.copy(migrated, path)
        found.append(f"sqlite:///{path}")
    return found[0], found[1]


def _whole(tracker: MlflowTracker, folder: Path) -> None:
    journal = folder / "journal.jsonl"
    journal.write_text('{"trial": 0}\n')
    run_search(tracker, "A", 1, trials=6, journal=journal)
    run_search(tracker, "B", 1, trials=3, end="exhausted", journal=journal)


def _left(tracker: MlflowTracker, folder: Path) -> None:
    run_search(tracker, "A", 1, trials=4, end="")
    run_search(tracker, "A", 2, trials=0, end="failed")


def _unusual(tracker: MlflowTracker, folder: Path) -> None:
    """Failed calls that cost money, non-ASCII text, several calls, another metric, dead code."""
    tracker.start(
        info(
            objective=Objective("accuracy", "maximize"),
            llm="gpt",
            model="gpt-4.1 at 0.7",
            task_settings={"budget_s": 5, "text": "é" * 9000},
            dependent_seeds="baseline.memory=study",
        )
    )
    odd = replace(call(1, problem="no JSON in ‘ja’"), usd=0.25, text="größer → 学习率")
    moves = frozenset({("MATRIX_LR", "up")})
    tracker.trial(TrialRecord(1, trial(0, 0.8, Decision.KEEP), baseline=0.8, best=0.8))
    shaped = trial(1, float("nan"), Decision.DISCARD, moves, duplicate_of=0)
    tracker.trial(TrialRecord(1, shaped, baseline=0.8, best=0.8, calls=(odd, call(2)),
                              totals={"usd": 0.25}, hooks=[{"hook": "propose"}]))  # fmt: skip
    failed = trial(2, None, Decision.FAIL)
    tracker.trial(TrialRecord(1, failed, baseline=0.8, best=0.8))
    tracker.trial(replace(outer(1), level=1.5))
    tracker.mechanisms([mechanism("on probation", rows=0)])
    tracker.mechanisms([mechanism("dead", rows=12)])
    tracker.mechanisms([mechanism("on probation", rows=5)])
    tracker.end("done", {"kept": 1.0, "wall_s": float("inf")})


def _superseded(tracker: MlflowTracker, folder: Path) -> None:
    run_search(tracker, "A", 1, trials=1, end="")
    tracker.supersede("demo", "A", 1)
    tracker.start(info("A", 1, search_id="second"))
    for record in records("A", 1, 1):
        tracker.trial(record)
    tracker.start(info("A", 1, search_id="third"))
    tracker.end("done", {})


TOLD = [_whole, _left, _unusual, _superseded]


def _names(tracker: MlflowTracker) -> dict[str, str]:
    """Run and trace id -> a name that is the same in every store."""
    found = {
        run.run_id: "/".join(run.tags.get(n, "") for n in ("arm", "seed", "search_id", "label"))
        for run in runs(tracker)
    }
    return {i: f"{name}@{found.get(_parent(tracker, i), '')}" for i, name in found.items()}


def _parent(tracker: MlflowTracker, run_id: str) -> str:
    return str(tracker.store._client.get_run(run_id).data.tags.get("mlflow.parentRunId", ""))


def read_back(tracker: MlflowTracker) -> dict[str, Any]:
    """All that MLflow's public interface says about the study, without ids and times."""
    client, names = tracker.store._client, _names(tracker)
    experiment = tracker.store.studies()["demo"]
    found: dict[str, Any] = {"tags": client.get_experiment(experiment).tags}
    for run in runs(tracker):
        whole = client.get_run(run.run_id)
        tags = dict(whole.data.tags)
        tags["mlflow.parentRunId"] = names.get(tags.get("mlflow.parentRunId", ""), "")
        traces = client.search_traces(locations=[experiment], run_id=run.run_id)
        found[names[run.run_id]] = {
            "name": whole.info.run_name,
            "user": whole.info.user_id,
            "status": whole.info.status,
            "ended": whole.info.end_time is not None,
            "place": whole.info.artifact_uri.replace(run.run_id, "").split("/artifacts/")[1],
            "tags": tags,
            "params": whole.data.params,
            "metrics": whole.data.metrics,
            "histories": {
                name: [(m.step, m.value) for m in client.get_metric_history(run.run_id, name)]
                for name in whole.data.metrics
            },
            "files": texts(tracker, run),
            "listed": sorted(f.path for f in client.list_artifacts(run.run_id)),
            "traces": sorted(map(_trace, traces), key=lambda t: str(t["tags"])),
        }
    return found


def _trace(trace: Any) -> dict[str, Any]:
    place = "mlflow.artifactLocation"
    tags = {n: t for n, t in trace.info.tags.items() if n != place}
    [span] = trace.data.spans
    return {
        "tags": tags | {place: trace.info.tags[place].split("/traces/")[1]},
        "state": trace.info.state,
        "metadata": trace.info.trace_metadata,
        "usage": trace.info.token_usage,
        "took_ms": trace.info.execution_duration,
        "previews": (trace.info.request_preview, trace.info.response_preview),
        "span": (span.name, span.span_type, str(span.status), span.inputs, span.outputs),
        "attributes": span.attributes,
    }


@pytest.mark.parametrize("tell", TOLD)
def test_both_trackers_leave_the_same(stores: tuple[str, str], tmp_path: Path, tell: Tell) -> None:
    plain, bulk = MlflowTracker(stores[0]), BulkTracker(stores[1])
    tell(plain, tmp_path)
    tell(bulk, tmp_path)
    assert (plain.problem, bulk.problem) == ("", "")
    assert read_back(bulk) == read_back(plain)


def test_without_traces_there_are_none(uri: str) -> None:
    tracker = BulkTracker(uri, traces=False)
    run_search(tracker, "A", 1, trials=2)
    assert len(of_kind(tracker, "trial")) == 3
    assert tracker.store._client.search_traces(locations=[tracker.store.studies()["demo"]]) == []


def test_telling_it_all_again_changes_nothing(uri: str) -> None:
    run_search(BulkTracker(uri), "A", 1, trials=5)
    before = read_back(BulkTracker(uri))
    again = BulkTracker(uri)
    run_search(again, "A", 1, trials=5)
    told_once(again, 5)
    assert read_back(again) == before


@pytest.mark.parametrize("missing", ["trial/1/3", "trial/1/5", "mechanism/1/tabu", "trial/2/1"])
def test_what_is_there_in_part_is_completed(uri: str, missing: str) -> None:
    first = MlflowTracker(uri)
    run_search(first, "A", 1, trials=6)
    expected = read_back(first)
    for run in runs(first):
        if run.tags.get("label") == missing:
            first.store.delete(first.store.studies()["demo"], run.run_id)
        elif run.tags.get("label") == "trial/1/4":
            first.store.status(run.run_id, "RUNNING")  # as one that was cut off
    second = BulkTracker(uri)
    run_search(second, "A", 1, trials=6)
    told_once(second, 6)
    assert read_back(second).keys() == expected.keys()


def test_a_search_whose_runs_were_deleted_is_written_again(uri: str) -> None:
    tracker = BulkTracker(uri)
    run_search(tracker, "A", 1, trials=4)
    for run in runs(tracker):
        tracker.store._client.delete_run(run.run_id)
    run_search(tracker, "A", 1, trials=4)
    assert tracker.problem == ""
    told_once(tracker, 4)


def test_the_trials_of_a_search_share_their_requests(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = BulkTracker(uri)
    made: list[str] = []
    for owner, name in (
        (tracker.store._client, "log_batch"),
        (tracker.store._tracing, "log_spans"),
    ):
        real = getattr(owner, name)

        def counted(*told: Any, _real: Any = real, _name: str = name, **also: Any) -> Any:
            made.append(_name)
            return _real(*told, **also)

        monkeypatch.setattr(owner, name, counted)
    tracker.start(info())
    for record in records("A", 1, 4):
        tracker.trial(record)
    assert made == []
    tracker.end("done", {"kept": 1.0})
    assert made.count("log_spans") == 1
    assert made.count("log_batch") == 5 + 2  # a trial each, the curves, the summary
    told_once(tracker, 4)


def test_trials_of_a_search_that_was_not_left_are_written_when_the_next_one_starts(
    uri: str,
) -> None:
    tracker = BulkTracker(uri)
    tracker.start(info("A", 1))
    for record in records("A", 1, 2):
        tracker.trial(record)
    tracker.start(info("A", 2))
    tracker.end("done", {})
    found = [run.tags["seed"] for run in of_kind(tracker, "trial")]
    assert found == ["1", "1", "1"]
