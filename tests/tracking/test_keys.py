"""Whatever a metric, a parameter or a mechanism is called, its search is tracked, and says so."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.utils import validation

from bilevel.parameters import Float
from bilevel.space import SearchSpace
from bilevel.trace import Decision, Objective, Outcome, Proposal, Trial
from bilevel.tracking import BulkTracker, MechanismRecord, MlflowTracker, TrialRecord
from bilevel.tracking.keys import LONGEST, file_name, key, renamed
from tests.faults.commands import Commands
from tests.tracking.reading import of_kind
from tests.tracking.studies import call, info

mlflows: Any = validation
LONG = "x" * 251
REFUSED = ("acc@1", "f1 (macro)", "loss, mean", "50%", "../up", "/abs", "a//b", "a/", ".", "..", "")
NAMES = st.one_of(st.text(max_size=300), st.sampled_from((*REFUSED, LONG, "é" * 251, "a\n")))


@given(NAMES)
@settings(max_examples=300, deadline=None)
def test_mlflow_takes_every_name_and_no_sound_one_is_changed(name: str) -> None:
    made = key(name)
    mlflows._validate_metric_name(made)
    mlflows._validate_param_name(made)
    assert len(made) <= LONGEST == mlflows.MAX_ENTITY_KEY_LENGTH
    assert key(made) == made
    try:
        mlflows._validate_metric_name(name)
    except Exception:
        assert made != name
    else:
        assert made == name or len(name) > LONGEST or name.endswith("\n")
    assert renamed([name]) == ({} if made == name else {"names": json.dumps({made: name})})
    assert 0 < len(file_name(name)) <= 120


@given(NAMES, NAMES)
@settings(max_examples=300, deadline=None)
def test_no_two_names_become_one(one: str, other: str) -> None:
    assert (key(one) == key(other)) == (one == other)


def test_a_long_file_keeps_its_kind() -> None:
    assert file_name("train.py.diff") == "train.py.diff"
    assert file_name("s" * 250 + ".py.diff").endswith(".diff")
    assert file_name("s." + "y" * 250) != file_name("s." + "y" * 251)


@pytest.mark.parametrize("make", [MlflowTracker, BulkTracker])
@pytest.mark.parametrize("name", ["acc@1", LONG, "../acc"])
def test_a_search_is_tracked_whatever_its_names(
    uri: str, make: type[MlflowTracker], name: str
) -> None:
    objective = Objective(name, "maximize")
    space = SearchSpace((Float(LONG, 0.0, 1.0, 0.5), Float("top-k %", 0.0, 1.0, 0.5)))
    outcome = Outcome(0.9, metrics={f"val {name}": 3.0, LONG + "y": 1.0}, cost={LONG: 1.0},
                      notes={f"{LONG}.py.diff": "-a\n"})  # fmt: skip
    moves = frozenset({(LONG, "up")})
    trial = Trial(0, None, Proposal({}, "", "baseline"), space.baseline, 1, outcome, Decision.KEEP,
                  None, moves)  # fmt: skip
    asked = replace(call(0), purpose=f"{LONG}/brief")
    told = MechanismRecord(LONG, "code", "live", "class X: ...\n", counts={f"{LONG}.none": 1})
    tracker = make(uri)
    tracker.start(replace(info(), objective=objective))
    tracker.trial(TrialRecord(1, trial, 0.9, 0.9, [asked], {LONG: 1.0}))
    tracker.mechanisms([told])
    tracker.end("done", {f"confirmed {name}": 0.9})
    assert tracker.problem == ""
    [search], [made] = of_kind(tracker, "search"), of_kind(tracker, "trial")
    names = json.loads(search.tags["names"])
    assert {names.get(n, n): v for n, v in search.metrics.items()}[f"best_{name}"] == 0.9
    names = json.loads(made.tags["names"])
    found = {names.get(n, n): v for n, v in made.metrics.items()}
    assert (found[name], found[f"val {name}"], found[f"cost/{LONG}"]) == (0.9, 3.0, 1.0)
    assert {LONG, "top-k %"} <= set(names.values())


SCRIPT = 'RATE = 0.5\nprint("top-1 acc:", 9.0)\nprint("acc@1:", 0.5 + RATE / 4)\n'


def test_a_script_may_print_it(command: Commands, tmp_path: Path, migrated: Path) -> None:
    (tmp_path / "fit.py").write_text(SCRIPT)
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(migrated.read_bytes())
    rate = "+task.parameters.RATE={type: float, low: 0.0, high: 1.0}"
    own = ("task=script", "task.file=fit.py", "task.metric=acc@1", "task.direction=maximize", rate)
    ran = command(tmp_path, "study=s", "search.trials=2", "search.confirm_seeds=0", *own)
    assert (ran.code, "not tracked" in ran.err) == (0, False), ran.err
    tracker = MlflowTracker(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    store = tracker.store
    [search] = store.runs(store.studies()["s"], "tags.kind = 'search'")
    assert search.tags["metric"] == "acc@1"
    assert search.metrics[key("best_acc@1")] >= 0.625
