"""The loop: who is asked when, what is charged, and what is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bilevel.baselines.random_search import RandomSearch
from bilevel.errors import TaskError
from bilevel.journal import Journal, projection, read
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.mechanism import Mechanism
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Decision, FailureKind, Outcome, Proposal, Trial
from bilevel.view import Brief, View
from bilevel.workers.executor import Local
from tests.helpers import Listed, Parabola, loop


def decisions(search: Loop) -> list[str]:
    return [str(trial.decision) for trial in search.trace]


def test_better_is_kept_and_worse_is_discarded() -> None:
    search = loop({"X": 4.0}, {"X": 6.0}, {"MODE": "crash"}, {"BATCH": 32})
    assert search.run() == 4
    assert decisions(search) == ["keep", "keep", "discard", "fail", "keep"]
    assert search.incumbent is not None
    assert search.incumbent is search.best is search.trace[4]
    assert search.trace[4].config == {"X": 4.0, "BATCH": 32, "MODE": "plain"}
    assert [trial.parent for trial in search.trace] == [None, 0, 1, 1, 1]
    assert search.trace[2].moves == {("X", "up")}
    assert search.done


def test_an_invalid_proposal_is_a_charged_failed_trial_and_the_search_goes_on() -> None:
    search = loop({"Y": 1}, {"X": 99}, {"BATCH": "2**5"}, {"X": 1.0})
    search.run()
    assert decisions(search) == ["keep", "fail", "fail", "fail", "keep"]
    failures = [trial.outcome.failure for trial in search.trace[1:4]]
    assert {f.kind for f in failures if f} == {FailureKind.INVALID_PROPOSAL}
    assert "valid: X, BATCH, MODE" in str(failures[0])
    assert isinstance(search.task, Parabola)
    assert search.task.evaluated == 2


def test_a_duplicate_is_charged_and_not_evaluated_again() -> None:
    search = loop({"X": 6.0}, {"X": 6.0}, {}, {"MODE": "crash"}, {"MODE": "crash"})
    search.run()
    assert [trial.duplicate_of for trial in search.trace] == [None, None, 1, 0, None, 4]
    assert search.trace[2].value == search.trace[1].value
    assert isinstance(search.task, Parabola)
    assert search.task.evaluated == 3
    assert search.task.settled == [0, 1, 2, 3, 4, 5]


def test_a_baseline_that_fails_ends_the_search_with_the_reason() -> None:
    class Broken(Parabola):
        def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
            return Outcome.failed(FailureKind.CRASH, "no corpus")

    with pytest.raises(TaskError, match="no corpus"):
        loop({"X": 1.0}, task=Broken()).run()


def test_what_a_mechanism_drops_is_asked_again_with_the_reason() -> None:
    class Picky(Mechanism):
        name = "picky"

        def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
            return [c.reject("X again") if "X" in c.changes else c for c in candidates]

    proposer = Listed({"X": 1.0}, {"BATCH": 32})
    search = loop(proposer=proposer, trials=1, mechanisms=[Picky()])
    search.run()
    assert search.trace[1].proposal.changes == {"BATCH": 32}
    assert [("X again" in brief.text) for brief in proposer.briefs] == [False, True]
    assert len({view.purpose for view in proposer.views}) == 2


def test_dropping_everything_does_not_stall_the_search() -> None:
    class Never(Mechanism):
        name = "never"

        def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
            return []

    search = loop({"X": 1.0}, mechanisms=[Never()])
    search.run()
    assert search.trace[1].proposal.changes == {"X": 1.0}


def test_a_batch_keeps_its_best_and_charges_every_member() -> None:
    class Two(Listed):
        def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
            return [Proposal({"X": 3.0}), Proposal({"X": 1.0}), Proposal({"X": 0.0})]

    search = loop(proposer=Two({}), trials=3, batch=2, executor=Local(2))
    search.run()
    assert decisions(search) == ["keep", "discard", "keep", "discard"]
    assert [t.parent for t in search.trace] == [None, 0, 0, 2]


def test_a_batch_is_filled_however_few_candidates_one_ask_gives() -> None:
    changes: list[dict[str, object]] = [{"X": x / 10} for x in range(12)]
    search = loop(*changes, proposer=Listed(*changes), trials=10, batch=5)
    search.run()
    assert [t.parent for t in search.trace] == [None, *[0] * 5, *[1] * 5]


def test_incumbent_and_best_are_never_ahead_of_the_trace() -> None:
    seen: list[tuple[int, int, int]] = []

    def watch(search: Loop, trial: Trial) -> None:
        assert search.incumbent is not None
        assert search.best is not None
        seen.append((len(search.trace), search.incumbent.number, search.best.number))

    search = loop({"X": 4.0}, {"X": 3.0}, trials=2, batch=2, observers=[watch])
    search.run()
    assert seen == [(1, 0, 0), (2, 0, 0), (3, 2, 2)]


def test_a_proposer_that_proposes_nothing_ends_the_search() -> None:
    class Empty(Listed):
        def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
            return []

    with pytest.raises(TaskError, match="proposed nothing for trial 1"):
        loop(proposer=Empty({}), trials=2).run()


def test_a_configuration_cannot_be_changed_by_who_sees_it() -> None:
    search = loop({"X": 4.0})
    search.run()
    with pytest.raises(TypeError):
        search.trace[1].config["X"] = 0.0


def test_two_searches_with_the_same_seed_are_the_same_and_with_another_differ() -> None:
    def run(seed: int) -> list[Any]:
        task = Surrogate("trap")
        search = Loop(
            task=task,
            proposer=RandomSearch(task.space, changes=2),
            acceptance=Greedy(),
            trials=20,
            seed=seed,
        )
        search.run()
        return [(trial.config, trial.value) for trial in search.trace]

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize("stop", range(0, 40, 3))
def test_a_search_stopped_at_any_line_continues_to_the_same_journal(
    stop: int, tmp_path: Path
) -> None:
    def run(path: Path) -> Parabola:
        with Journal(path) as journal:
            search = loop({"X": 4.0}, {"X": 4.0}, {"Y": 1}, {"BATCH": 2}, journal=journal)
            search.run()
        assert isinstance(search.task, Parabola)
        return search.task

    run(tmp_path / "whole.jsonl")
    whole = read(tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:stop])[:-1])
    task = run(tmp_path / "cut.jsonl")
    assert projection(read(tmp_path / "cut.jsonl")) == projection(whole)
    assert task.evaluated <= 3


def test_parent_and_accept_hooks_decide_and_are_credited() -> None:
    class Annealer(Mechanism):
        name = "annealer"

        def parent(self, view: View) -> int | None:
            return 0

        def accept(self, view: View, trial: Trial) -> bool | None:
            return True

    search = loop({"X": 9.0}, {"X": 2.0}, mechanisms=[Annealer()])
    search.run()
    assert decisions(search) == ["keep", "keep", "keep"]
    assert search.trace[2].parent == 0
    assert search.trace[1].decision is Decision.KEEP
    assert search.incumbent is search.trace[2]
    rows = search.pipeline.ledger.rows("annealer")
    assert {row.hook for row in rows if row.effect == "decision"} == {"parent", "accept"}


def test_candidates_of_a_mechanism_are_credited_when_they_are_evaluated() -> None:
    class Pusher(Mechanism):
        name = "pusher"

        def propose(self, view: View) -> Sequence[Proposal]:
            return [Proposal({"X": 0.0})]

        def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
            return sorted(candidates, key=lambda c: c.origin != "pusher")

    search = loop({"X": 9.0}, mechanisms=[Pusher()])
    search.run()
    assert search.trace[1].proposal.origin == "pusher"
    counts = search.pipeline.ledger.counts("pusher")
    assert counts == {"propose.decision": 1, "review.none": 1}  # its candidate stood first already


def test_pipeline_with_names_twice_is_refused() -> None:
    class Same(Mechanism):
        name = "same"

    with pytest.raises(ValueError, match="same"):
        Pipeline([Same(), Same()])
