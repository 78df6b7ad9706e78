"""What every tracker promises, the one that tracks nothing included."""

import pytest

from bilevel.tracking import BulkTracker, MlflowTracker, NullTracker, Tracker
from tests.tracking.studies import info, mechanism, outer, records, run_search


@pytest.fixture(params=["mlflow", "bulk", "none"])
def tracker(request: pytest.FixtureRequest, uri: str) -> Tracker:
    if request.param == "none":
        return NullTracker()
    return BulkTracker(uri) if request.param == "bulk" else MlflowTracker(uri)


def test_a_whole_search_can_be_told_twice(tracker: Tracker) -> None:
    run_search(tracker, "A", 1, trials=3)
    run_search(tracker, "A", 1, trials=3)
    assert tracker.problem == ""


def test_everything_but_the_start_is_optional(tracker: Tracker) -> None:
    tracker.start(info())
    tracker.mechanisms([])
    tracker.end("exhausted", {})
    assert tracker.problem == ""


def test_a_search_may_be_left_and_taken_up_again(tracker: Tracker) -> None:
    run_search(tracker, "A", 1, trials=2, end="")
    run_search(tracker, "A", 1, trials=3)
    assert tracker.problem == ""


def test_an_unknown_ending_is_refused(tracker: Tracker) -> None:
    tracker.start(info())
    with pytest.raises(ValueError, match="expected one of done, failed, exhausted"):
        tracker.end("finished", {})


def test_nothing_to_supersede_is_no_error(tracker: Tracker) -> None:
    assert tracker.supersede("demo", "A", 1) == 0


def test_outer_trials_and_mechanisms_are_taken_in_any_order(tracker: Tracker) -> None:
    tracker.start(info())
    tracker.mechanisms([mechanism("on probation", rows=0)])
    tracker.trial(outer(0))
    tracker.trial(next(records("A", 1)))
    tracker.mechanisms([mechanism("dead", rows=2)])
    tracker.end("failed", {"confirmed_delta": -0.1})
    assert tracker.problem == ""
