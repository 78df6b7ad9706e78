"""Reads back what a tracker wrote, as far as tests look at it."""

from pathlib import Path

from bilevel.tracking import MlflowTracker
from bilevel.tracking.records import Run


def runs(tracker: MlflowTracker, query: str = "") -> list[Run]:
    return tracker.store.runs(tracker.store.studies()["demo"], query)


def of_kind(tracker: MlflowTracker, kind: str) -> list[Run]:
    return runs(tracker, f"tags.kind = '{kind}'")


def history(tracker: MlflowTracker, run: Run, metric: str) -> list[tuple[int, float]]:
    points = tracker.store._client.get_metric_history(run.run_id, metric)
    return [(point.step, point.value) for point in points]


def texts(tracker: MlflowTracker, run: Run) -> dict[str, str]:
    folder = Path(tracker.store._client.get_run(run.run_id).info.artifact_uri)
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def told_once(tracker: MlflowTracker, trials: int) -> None:
    """Every trial has one complete run and one point of every curve, and every call one trace."""
    [search] = of_kind(tracker, "search")
    found = of_kind(tracker, "trial")
    assert sorted(int(run.tags["trial"]) for run in found) == list(range(trials + 1))
    assert {run.status for run in found} == {"FINISHED"}
    for metric in ("best_value", "delta", "tokens", "trial"):
        steps = [step for step, _ in history(tracker, search, metric)]
        assert sorted(steps) == list(range(trials + 1)), metric
    every = tracker.store._client.search_traces(
        locations=[tracker.store.studies()["demo"]], max_results=400
    )
    level_1 = [t for t in every if t.info.tags["call"].startswith("L1")]
    assert len(level_1) == len({t.info.tags["call"] for t in level_1}) == trials
