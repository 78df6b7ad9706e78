"""Tabu drops moves that were discarded lately."""

from bilevel.loop.activations import Liveness
from bilevel.mechanisms.tabu import Tabu
from bilevel.trace import Proposal
from tests.helpers import loop
from tests.mechanisms.support import EVERY_KIND, trial, view


def test_it_drops_a_move_that_was_discarded_lately_and_only_that_long() -> None:
    again: list[dict[str, object]] = [{"X": 6.0}, {"X": 7.0}, {"BATCH": 32}]
    ran = loop(*again, trials=3, mechanisms=[Tabu(tenure=2)])
    ran.run()
    assert [dict(t.proposal.changes) for t in ran.trace[1:3]] == [{"X": 6.0}, {"BATCH": 32}]
    assert ran.pipeline.liveness("tabu", trial=4) is Liveness.LIVE
    patient = loop({"X": 6.0}, {"BATCH": 32}, {"BATCH": 16}, {"X": 7.0}, mechanisms=[Tabu(2)])
    patient.run()
    assert dict(patient.trace[4].proposal.changes) == {"X": 7.0}


def test_what_is_outside_the_range_is_left_to_be_charged() -> None:
    ran = loop({"X": 99.0}, {"X": 6.0}, mechanisms=[Tabu()])
    ran.run()
    assert [dict(t.proposal.changes) for t in ran.trace[1:]] == [{"X": 99.0}, {"X": 6.0}]
    assert ran.pipeline.ledger.errors("tabu") == 0


def test_a_trial_of_many_moves_forbids_none_of_them() -> None:
    changes = {"RATE": 0.2, "SHARE": 0.1, "LAYERS": 3, "BATCH": 32}
    for count, dropped in ((3, True), (4, False)):
        made = dict(list(changes.items())[:count])
        trials = [trial(EVERY_KIND, 0, {}, 1.0, kept=True), trial(EVERY_KIND, 1, made, 2.0)]
        tabu = Tabu()
        tabu.observe(view(trials), trials[1])
        (judged,) = tabu.review(view(trials), [Proposal({"RATE": 0.3})])
        assert bool(judged.rejected) is dropped
