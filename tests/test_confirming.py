"""After a search its gain is measured again, on fresh seeds, and charged apart."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev

import pytest

from bilevel.confirming import confirmed
from bilevel.executor import Local, Serial
from bilevel.journal import Journal, read
from bilevel.randomness import confirmation_seed
from bilevel.replay import main as replay
from bilevel.sync import main as sync
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import FailureKind, Outcome, Proposal, Trial
from bilevel.tracking.store import Store
from tests.helpers import SPACE, Parabola
from tests.kills import Kill, Run, Searches
from tests.mechanisms.support import trial

BETTER = {"TOTAL_BATCH_SIZE": 2**17}


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
    task, journal = Parabola(), Journal(None)
    found = confirmed(task, best(task), 1, 2, journal, Serial())
    assert found.differences == (0.0, 0.0)
    assert task.evaluated == 2


def test_what_fails_on_a_seed_has_no_difference_there() -> None:
    class Fragile(Parabola):
        def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
            if proposal.changes and seed == confirmation_seed(1, 0):
                return Outcome.failed(FailureKind.CRASH, "it was luck")
            return super().evaluate(parent, proposal, seed)

    task = Fragile()
    found = confirmed(task, best(task, X=1.0), 1, 2, Journal(None), Serial())
    assert found.differences == (1.0 - SPACE.baseline["X"] ** 2,)  # type: ignore[operator]
    assert "confirmed_sd" not in found.metrics()
    assert str(found).endswith("on 1 of 2 fresh seeds")
    none = confirmed(task, best(task, MODE="crash"), 1, 2, Journal(None), Serial())
    assert "confirmed_delta" not in none.metrics()
    assert "none of 2 fresh seeds" in str(none)


@pytest.fixture(scope="module")
def warm() -> Iterator[Searches]:
    with Searches() as searches:
        yield searches


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
    store = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", write=False)

    def searches() -> list[str]:
        runs = store.runs(store.studies()["s"], "tags.kind = 'search'")
        return [run.status for run in runs]

    assert searches() == ["RUNNING"]
    warm.killed(tmp_path, command, [])
    assert sync(["study=s"]) == 0
    assert searches() == ["FINISHED"]
    [run] = store.runs(store.studies()["s"], "tags.kind = 'search'")
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
