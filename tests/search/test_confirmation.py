"""After a search its gain is measured again, on fresh seeds, and charged apart."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest

from bilevel.commands.replay import main as replay
from bilevel.commands.sync import main as sync
from bilevel.journal import Journal, read
from bilevel.randomness import confirmation_seed
from bilevel.search.confirmation import HELD_OUT, confirmed
from bilevel.tasks.base import Task
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import FailureKind, Outcome, Proposal, Trial
from bilevel.tracking.records import Run as TrackedRun
from bilevel.tracking.store import Store
from bilevel.workers.executor import Local, Serial
from tests.helpers import Parabola
from tests.kills import Kill, Run, Searches
from tests.mechanisms.support import trial

BETTER = {"TOTAL_BATCH_SIZE": 2**17}


@pytest.fixture(scope="module")
def warm() -> Iterator[Searches]:
    with Searches() as searches:
        yield searches


def best(task: Surrogate | Parabola, **changes: object) -> Trial:
    return trial(task.space, 3, changes, 1.0, kept=True)


@pytest.mark.parametrize("executor", [Serial(), Local(3)])
def test_both_are_measured_on_seeds_of_their_own_and_paired(executor: Serial | Local) -> None:
    task = Surrogate("trap")
    found = confirmed(task, best(task, **BETTER), 4, 3, Journal(None), executor)
    seeds = [confirmation_seed(4, repeat) for repeat in range(3)]
    values = [
        [task.evaluate(None, Proposal(changes), seed).value for seed in seeds]
        for changes in ({}, BETTER)
    ]
    assert [o.value for o in found.baseline] == values[0]
    assert [o.value for o in found.best] == values[1]
    expected = [b - a for a, b in zip(*values, strict=True) if a is not None and b is not None]
    assert found.differences == tuple(expected)
    told = found.metrics()
    assert told["confirmed_delta"] == fmean(expected)
    assert told["confirmed_sd"] == stdev(expected)
    assert (told["confirmed_n"], told["confirmation_trials"]) == (3, 6)
    assert told["confirmed/best/2"] == values[1][2]
    assert str(found).endswith("on 3 of 3 fresh seeds")


def test_a_best_that_is_the_baseline_is_measured_once() -> None:
    task, journal = Surrogate("trap"), Journal(None)
    found = confirmed(task, best(task), 1, 2, journal, Serial())
    assert found.differences == (0.0, 0.0)
    assert len(journal.entries) == 2
    assert found.metrics()["seed_reaches"] == 1.0


def test_where_seeds_change_nothing_nothing_is_confirmed() -> None:
    task = Surrogate("trap", noise_sd=0)
    found = confirmed(task, best(task, **BETTER), 4, 3, Journal(None), Serial())
    told = found.metrics()
    assert (told["seed_reaches"], told["confirmed_n"]) == (0.0, 0.0)
    assert {"confirmed_delta", "confirmed_sd"}.isdisjoint(told)
    assert told["confirmed/best/2"] == found.best[0].value
    assert str(found) == (
        "nothing confirmed: 3 of 3 fresh seeds gave the same values to the last digit (difference "
        "-0.060000), so the seed reaches nothing that is measured: task.noise_sd=0 is a landscape "
        "without noise"
    )


def test_a_seed_that_reaches_the_best_alone_reaches_something() -> None:
    class Settled(Surrogate):
        def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
            return super().evaluate(parent, proposal, seed if proposal.changes else 1)

    task = Settled("trap")
    found = confirmed(task, best(task, **BETTER), 4, 3, Journal(None), Serial())
    assert found.metrics()["seed_reaches"] == 1.0
    assert "confirmed_delta" in found.metrics()


def test_one_seed_says_nothing_of_what_seeds_do() -> None:
    task = Surrogate("trap", noise_sd=0)
    told = confirmed(task, best(task, **BETTER), 4, 1, Journal(None), Serial()).metrics()
    assert "seed_reaches" not in told
    assert told["confirmed_n"] == 1


UNSEEDED = """\
import random
RATE = 0.5
random.seed(3)
print("val_loss:", (RATE - 0.25) ** 2 + random.random())
"""
SCRIPT = (
    *("study=s", "arm=random", "task=script", "task.file=fit.py", "search.trials=2"),
    "+task.parameters.RATE={type: float, low: 0.0, high: 1.0}",
)
SEEDED = "task.seed_calls=[random.seed]"


@pytest.mark.parametrize("seeded", [False, True])
def test_a_script_s_own_seed_is_told_as_one_measurement(
    warm: Searches, tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch, seeded: bool
) -> None:
    (tmp_path / "fit.py").write_text(UNSEEDED)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(migrated, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    assert warm.run(Run(str(tmp_path), (*SCRIPT, *([SEEDED] if seeded else [])))) == 0
    said = (tmp_path / "output.log").read_text()
    [run] = _searches(tmp_path)
    assert run.metrics["seed_reaches"] == seeded
    assert ("confirmed_delta" in run.metrics) is seeded
    assert ("on 5 of 5 fresh seeds" in said) is seeded
    assert ("hand it over by one of {seed} in task.command, task.seed_calls" in said) is not seeded


def _searches(folder: Path) -> list[TrackedRun]:
    store = Store(f"sqlite:///{folder}/mlruns/mlflow.db", write=False)
    return store.runs(store.studies()["s"], "tags.kind = 'search'")


def test_a_journal_that_called_it_confirmed_is_executed_and_told_as_what_it_is(
    warm: Searches, tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note of earlier versions is what is noted still: arithmetic on what was measured."""
    (tmp_path / "mlruns").mkdir()
    shutil.copy(migrated, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    command = ("study=s", "arm=random", "task=trap", "task.noise_sd=0", "search.trials=2")
    assert warm.run(Run(str(tmp_path), (*command, "tracking=none"))) == 0
    path = tmp_path / "mlruns" / "searches" / "s" / "random-seed1" / "journal.jsonl"
    [note] = [entry["data"] for entry in read(path) if entry["kind"] == "confirmation"]
    assert "confirmed_delta" in note
    assert (note["confirmed_n"], note["confirmed_sd"]) == (5, 0)
    assert "seed_reaches" not in note
    assert sync(["study=s"]) == 0
    [run] = _searches(tmp_path)
    assert (run.metrics["seed_reaches"], run.metrics["confirmed_n"]) == (0, 0)
    assert "confirmed_delta" not in run.metrics


def test_what_fails_on_a_seed_has_no_difference_there() -> None:
    class Fragile(Surrogate):
        def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
            if proposal.changes and seed == confirmation_seed(1, 0):
                return Outcome.failed(FailureKind.CRASH, "it was luck")
            return super().evaluate(parent, proposal, seed)

    task = Fragile("trap")
    found = confirmed(task, best(task, **BETTER), 1, 2, Journal(None), Serial())
    assert len(found.differences) == 1
    assert "confirmed_sd" not in found.metrics()
    assert str(found).endswith("on 1 of 2 fresh seeds")
    crashing = Parabola()
    none = confirmed(crashing, best(crashing, MODE="crash"), 1, 2, Journal(None), Serial())
    assert "confirmed_delta" not in none.metrics()
    assert "none of 2 fresh seeds" in str(none)


def test_killed_in_it_a_search_goes_on_and_is_synced_as_far_as_it_got(
    warm: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migrated: Path
) -> None:
    command = ("study=s", "arm=random", "task=trap", "search.trials=2", "tracking=none")
    (tmp_path / "mlruns").mkdir()
    shutil.copy(migrated, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    assert warm.run(Run(str(tmp_path), command, Kill("trial", 6, 0.2))) < 0
    path = tmp_path / "mlruns" / "searches" / "s" / "random-seed1" / "journal.jsonl"
    assert any(entry["key"].startswith("confirm/") for entry in read(path))
    assert sync(["study=s"]) == 0
    assert [run.status for run in _searches(tmp_path)] == ["RUNNING"]
    warm.killed(tmp_path, command, [])
    assert sync(["study=s"]) == 0
    [run] = _searches(tmp_path)
    assert run.status == "FINISHED"
    assert run.metrics["confirmed_n"] == 5


def test_another_value_in_a_journal_is_an_error(
    warm: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("study=s", "arm=random", "task=trap", "search.trials=2", "tracking=none")
    monkeypatch.chdir(tmp_path)
    warm.killed(tmp_path, command, [])
    asked = ["study=s", "arm=random", "seed=1"]
    assert replay(asked) == 0
    path = tmp_path / "mlruns" / "searches" / "s" / "random-seed1" / "journal.jsonl"
    entries = read(path)
    changed = next(e for e in entries if e["key"] == "confirm/baseline/1")
    changed["data"]["value"] = 1.0
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert replay(asked) == 1


class HeldOut(Parabola):
    """Holds out a parabola whose values are three higher, and tells where each was measured."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self._shift = shift

    @property
    def held_out(self) -> Task:
        return HeldOut(3.0)

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        found = super().evaluate(parent, proposal, seed)
        assert found.value is not None
        return replace(found, value=found.value + self._shift, metrics={"shift": self._shift})


def test_what_a_task_holds_out_is_measured_apart_and_told_by_a_name_of_its_own() -> None:
    task, journal = HeldOut(), Journal(None)
    found = best(task, X=1.0)
    on_it = confirmed(task, found, 1, 2, journal, Serial())
    apart = confirmed(task.held_out, found, 1, 2, journal, Serial(), HELD_OUT)
    assert apart.held_out_metrics() == {
        "held_out_n": 2.0,
        "held_out_delta": on_it.noted()["confirmed_delta"],
        "held_out_sd": 0.0,
        **{f"held_out/baseline/{n}": on_it.noted()[f"confirmed/baseline/{n}"] + 3 for n in (0, 1)},
        **{f"held_out/best/{n}": on_it.noted()[f"confirmed/best/{n}"] + 3 for n in (0, 1)},
        "held_out/baseline/shift": 3.0,
        "held_out/best/shift": 3.0,
    }
    assert journal.has("outcome")
