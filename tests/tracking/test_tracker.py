"""What is in MLflow after a search."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowException

from bilevel.errors import TrackingError
from bilevel.trace import Decision, Objective
from bilevel.tracking import MlflowTracker, TrialRecord
from bilevel.tracking.view import TAG
from tests.tracking.reading import history, of_kind, texts
from tests.tracking.studies import call, info, mechanism, outer, records, run_search, trial

COMMON = {"study": "demo", "arm": "A", "seed": "1", "llm": "scripted", "task": "surrogate"}


@pytest.fixture
def tracker(uri: str) -> MlflowTracker:
    return MlflowTracker(uri)


def test_the_search_has_its_identity_and_curves(tracker: MlflowTracker, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text("{}\n")
    run_search(tracker, "A", 1, trials=5, journal=journal)
    [search] = of_kind(tracker, "search")
    assert COMMON.items() <= search.tags.items()
    assert search.name == "A seed 1"
    assert search.tags["superseded"] == "false"
    assert search.tags["stand_in"] == "true"
    assert (search.status, search.tags["ended"]) == ("FINISHED", "done")
    expected = [(r.trial.number, r.best) for r in records("A", 1, 5)]
    assert history(tracker, search, "best_value") == expected
    assert search.metrics["delta"] == pytest.approx(expected[-1][1] - expected[0][1])  # type: ignore[operator]
    assert search.metrics["confirmed_delta"] == -0.003
    assert search.metrics["tokens"] == 940.0 * 5
    files = texts(tracker, search)
    assert files["journal.jsonl"] == "{}\n"
    assert files["config.yaml"] == "arm: A\nseed: 1\n"
    assert json.loads(files["mechanisms.json"])[0]["counts"] == {"review.decision": 5}
    assert set(json.loads(files["environment.json"])) == {
        "python", "platform", "cpu", "git_commit", "git_dirty", "packages",
    }  # fmt: skip


def test_a_trial_has_its_configuration_story_and_calls(tracker: MlflowTracker) -> None:
    tracker.start(info())
    moves = frozenset({("MATRIX_LR", "up"), ("WEIGHT_DECAY", "down")})
    shaped = trial(7, 1.05, Decision.KEEP, moves)
    tracker.trial(TrialRecord(1, shaped, baseline=1.10, best=1.05, calls=(call(7), call(8))))
    [run] = of_kind(tracker, "trial")
    assert COMMON.items() <= run.tags.items()
    assert run.name == "007 MATRIX_LR up, WEIGHT_DECAY down keep"
    assert run.metrics["value"] == run.metrics["val_bpb"] == 1.05
    assert run.metrics["delta"] == pytest.approx(-0.05)
    assert run.metrics["cost/modelled_s"] == 10.0
    assert run.tags["decision"] == "keep"
    assert json.loads(run.tags["moves"]) == [["MATRIX_LR", "up"], ["WEIGHT_DECAY", "down"]]
    params = tracker.store._client.get_run(run.run_id).data.params
    assert params["TOTAL_BATCH_SIZE"] == str(2**19)
    files = texts(tracker, run)
    assert files["train.py.diff"] == "-A = 1\n+A = 2\n"
    assert "smaller steps late" in files["calls/01_propose_0.md"]
    assert json.loads(files["trial.json"])["config"]["WEIGHT_DECAY"] == 0.2
    traces = tracker.store._client.search_traces(
        locations=[tracker.store.studies()["demo"]], run_id=run.run_id
    )
    assert sorted(t.info.token_usage["total_tokens"] for t in traces) == [940, 940]


def test_a_failure_says_what_it_was(tracker: MlflowTracker) -> None:
    tracker.start(info())
    tracker.trial(TrialRecord(1, trial(3, None, Decision.FAIL), baseline=1.1, best=1.0))
    [run] = of_kind(tracker, "trial")
    assert run.tags["failure"] == "divergence"
    assert run.status == "FINISHED"
    assert not {"value", "val_bpb"} & set(run.metrics)
    assert "NaN at step 12" in texts(tracker, run)["failure.txt"]
    assert texts(tracker, run)["output.txt"] == "loss nan\n"


def test_a_metric_has_its_own_name_and_the_common_one(tracker: MlflowTracker) -> None:
    tracker.start(info(objective=Objective("accuracy", "maximize")))
    tracker.trial(TrialRecord(1, trial(0, 0.8, Decision.KEEP), baseline=0.8, best=0.8))
    [run], [search] = of_kind(tracker, "trial"), of_kind(tracker, "search")
    assert run.metrics["value"] == run.metrics["accuracy"] == 0.8
    assert search.metrics["best_value"] == search.metrics["best_accuracy"] == 0.8
    tracker.trial(TrialRecord(2, trial(0, 0.25, Decision.KEEP), metric="gain"))
    [above] = of_kind(tracker, "outer")
    assert above.metrics["value"] == above.metrics["gain"] == 0.25
    assert not {"accuracy", "val_bpb"} & set(above.metrics)


def test_the_page_of_a_study_draws_the_best_by_its_own_name(tracker: MlflowTracker) -> None:
    tracker.start(info(objective=Objective("accuracy", "maximize")))
    [study] = tracker.store._client.search_experiments(filter_string="name = 'demo'")
    view = json.loads(study.tags[TAG])
    assert [chart["metricKey"] for chart in view["compareRunCharts"]] == ["delta", "best_accuracy"]
    assert "metrics.`best_accuracy`" in view["selectedColumns"]
    tracker.supersede("demo", "A", 1)
    [after] = tracker.store._client.search_experiments(filter_string="name = 'demo'")
    assert after.tags == study.tags


def test_a_search_of_an_older_version_is_told_what_it_lacks(tracker: MlflowTracker) -> None:
    run_search(tracker, "A", 1, trials=0)
    tracker.start(info(task_settings={"budget_s": 5}))
    [search] = of_kind(tracker, "search")
    assert search.tags["task_settings"] == '{"budget_s":5}'
    assert search.tags["ended"] == "done"


def test_outer_trials_and_mechanisms_are_runs_of_their_own(tracker: MlflowTracker) -> None:
    tracker.start(info())
    tracker.trial(replace(outer(1), level=1.5))
    tracker.mechanisms([mechanism("on probation", rows=0)])
    tracker.mechanisms([mechanism("dead", rows=12)])
    tracker.mechanisms([mechanism("on probation", rows=5)])  # re-execution is still catching up
    [proposal], [found] = of_kind(tracker, "outer"), of_kind(tracker, "mechanism")
    assert COMMON.items() <= proposal.tags.items()
    assert (proposal.tags["level"], proposal.name) == ("1.5", "level 1.5 001 llm keep")
    assert COMMON.items() <= found.tags.items()
    assert (found.tags["state"], found.status) == ("dead", "FAILED")
    assert found.metrics["hook/review.decision"] == 12
    assert len(json.loads(texts(tracker, found)["ledger.json"])) == 12
    assert texts(tracker, found)["source.py"] == "class Tabu: ...\n"


@pytest.mark.parametrize(
    ("ended", "status"), [("done", "FINISHED"), ("failed", "FAILED"), ("exhausted", "KILLED")]
)
def test_how_a_search_ended(tracker: MlflowTracker, ended: str, status: str) -> None:
    run_search(tracker, "A", 1, trials=0, end=ended)
    [search] = of_kind(tracker, "search")
    assert (search.status, search.tags["ended"]) == (status, ended)


def test_a_deleted_study_says_how_to_get_it_back(tracker: MlflowTracker) -> None:
    tracker.start(info())
    tracker.store._client.delete_experiment(tracker.store.studies()["demo"])
    with pytest.raises(TrackingError, match="mlflow experiments restore"):
        MlflowTracker(tracker.uri).start(info())


def test_a_trial_before_the_start_is_a_mistake(tracker: MlflowTracker) -> None:
    with pytest.raises(TrackingError, match="call start"):
        tracker.trial(next(records("A", 1)))


@pytest.mark.parametrize("set_already", [True, False])
def test_a_tag_that_another_search_sets_at_the_same_time_is_no_failure(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch, set_already: bool
) -> None:
    client = type(tracker.store._client)
    real = client.set_experiment_tag

    def refused(self: Any, experiment: str, name: str, text: str) -> None:
        if set_already:
            real(self, experiment, name, text)
        raise MlflowException("UNIQUE constraint failed: experiment_tags.key")

    monkeypatch.setattr(client, "set_experiment_tag", refused)
    if set_already:
        tracker.start(info())
        [study] = tracker.store._client.search_experiments(filter_string="name = 'demo'")
        assert study.tags
    else:
        with pytest.raises(TrackingError, match="UNIQUE constraint failed"):
            tracker.start(info())
