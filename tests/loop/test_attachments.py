"""Who is attached, since when, and that nobody is attached without being called."""

from collections.abc import Sequence
from typing import Any

import pytest

from bilevel.loop.acceptance import NoiseAware
from bilevel.loop.activations import COIN, Effect
from bilevel.loop.attachments import Attachments
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.loop.rules import ALTERNATE, Rules
from bilevel.mechanism import HOOKS, Mechanism
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View
from tests.helpers import loop

DOWN: list[dict[str, object]] = [{"X": x} for x in (4.0, 3.0, 2.0, 1.0, 0.0)]
CRASHES: list[dict[str, object]] = [{"MODE": "crash"}] * 5
ANSWERS: dict[str, Any] = {
    "parent": lambda self, view: None,
    "brief": lambda self, view, brief: brief,
    "propose": lambda self, view: (),
    "review": lambda self, view, candidates: candidates,
    "accept": lambda self, view, trial: None,
    "observe": lambda self, view, trial: None,
}


def doing(*hooks: str, name: str = "it", **body: Any) -> Mechanism:
    """A mechanism that overrides these hooks and changes nothing at them."""
    made = type("Doing", (Mechanism,), {"name": name, **{h: ANSWERS[h] for h in hooks}, **body})()
    assert isinstance(made, Mechanism)
    return made


def called(ran: Loop, name: str = "it") -> dict[int, list[str]]:
    """Trial -> the hooks of its rows."""
    found: dict[int, list[str]] = {}
    for row in ran.pipeline.ledger.rows(name):
        found.setdefault(row.trial, []).append(row.hook)
    return found


def with_instance_hook() -> Mechanism:
    made = doing()
    made.propose = lambda view: [Proposal({"X": 0.0})]  # type: ignore[method-assign]
    return made


def with_getattribute() -> Mechanism:
    def lookup(self: object, name: str) -> Any:
        if name == "propose":
            return lambda view: [Proposal({"X": 0.0})]
        return object.__getattribute__(self, name)

    return doing(__getattribute__=lookup)


def with_inherited_defaults() -> Mechanism:
    return doing(propose=Mechanism.propose, review=Mechanism.review)


@pytest.mark.parametrize(
    "make", [doing, with_instance_hook, with_getattribute, with_inherited_defaults]
)
def test_what_would_never_be_called_cannot_be_attached(make: Any) -> None:
    with pytest.raises(ValueError, match="it would never be called: its class overrides none of"):
        Attachments().attach(make(), trial=0)
    with pytest.raises(ValueError, match="never be called"):
        Pipeline([make()])


def test_a_name_is_taken_for_good() -> None:
    roster = Attachments()
    roster.attach(doing("accept"), trial=0)
    roster.detach("it", 3)
    with pytest.raises(ValueError, match="needs a name not in: it; got 'it'"):
        roster.attach(doing("accept"), trial=3)
    with pytest.raises(ValueError, match="needs a name not in: it; got ''"):
        roster.attach(doing("accept", name=""), trial=3)
    assert [m.name for m in roster.known] == ["it"]
    assert roster.attached == ()
    assert roster.since("it") == 0


def test_what_is_left_out_leaves_no_trace() -> None:
    with_it = loop(*DOWN, pipeline=Pipeline([doing("accept", "observe")], left_out=("it",)))
    with_it.run()
    assert with_it.pipeline.known == ()
    assert with_it.pipeline.ledger.rows() == ()
    with pytest.raises(ValueError, match="never be called"):
        Attachments(left_out=("it",)).attach(doing(), trial=0)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_called_in_every_round_that_comes_to_it(hook: str) -> None:
    ran = loop(*DOWN, mechanisms=[doing(hook)])
    ran.run()
    baseline = {0: ["observe"]} if hook == "observe" else {}
    assert called(ran) == baseline | {trial: [hook] for trial in range(1, 6)}


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_in_batches_rounds_are_decided_and_trials_are_observed(hook: str, batch: int) -> None:
    """The proposer is asked until there are enough; what it says is reviewed every time."""
    ran = loop(*DOWN, mechanisms=[doing(hook)], batch=batch)
    ran.run()
    rounds = range(0, 6) if hook == "observe" else range(1, 6, batch)
    turns = {t: min(batch, 6 - t) if hook == "review" else 1 for t in rounds}
    assert called(ran) == {trial: [hook] * turns[trial] for trial in rounds}


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook != "accept"])
def test_in_a_search_in_which_every_trial_fails(hook: str) -> None:
    ran = loop(*CRASHES, mechanisms=[doing(hook)])
    ran.run()
    assert {*range(1, 6)} <= {*called(ran)}


def test_there_is_nothing_to_accept_where_every_trial_fails() -> None:
    """The one hook whose step may never come; the ledger says dead, as for any other."""
    ran = loop(*CRASHES, mechanisms=[doing("accept")])
    ran.run()
    assert called(ran) == {}
    assert str(ran.pipeline.liveness("it", trial=10)) == "dead"


def test_in_rounds_that_measure_again_only_what_is_told_is_called() -> None:
    policy = NoiseAware(sd=1.0, threshold_sds=0.0, lucky_sds=99.0)
    ran = loop(*DOWN, mechanisms=[doing(*HOOKS)], acceptance=policy)
    ran.run()
    again = [trial.number for trial in ran.trace if trial.retest_of is not None]
    assert again
    found = called(ran)
    assert [found[trial] for trial in again] == [["observe"]] * len(again)
    asked = {*range(1, 6)} - {*again}
    assert all(set(found[trial]) == {*HOOKS} for trial in asked)


def test_attached_in_the_middle_it_is_called_from_the_next_round_on() -> None:
    ran = loop(*DOWN)
    ran.run(2)
    ran.pipeline.attach(doing("review"), trial=len(ran.trace))
    ran.run(2)
    assert ran.pipeline._attachments.since("it") == 3
    assert called(ran) == {3: ["review"], 4: ["review"]}
    ran.pipeline.detach("it", len(ran.trace))
    ran.pipeline.attach(doing("brief", name="other"), trial=len(ran.trace))
    ran.run()
    assert called(ran) == {3: ["review"], 4: ["review"]}
    assert called(ran, "other") == {5: ["brief"]}


def test_attached_by_another_mechanism_in_the_middle_of_a_round() -> None:
    """Steps that are still to come in that round are its own already."""
    ran = loop(*DOWN)

    class Inviting(Mechanism):
        name = "inviting"

        def brief(self, view: View, brief: Brief) -> Brief:
            if view.trial == 3:
                ran.pipeline.attach(doing("review", "parent"), trial=3)
            return brief

    ran.pipeline.attach(Inviting(), trial=0)
    ran.run()
    assert called(ran) == {3: ["review"], 4: ["parent", "review"], 5: ["parent", "review"]}


def test_a_hook_that_leaves_the_class_later_is_still_a_call_in_the_ledger() -> None:
    mechanism = doing("propose", "observe")

    def vanish(self: Any, view: View) -> Sequence[Proposal]:
        for hook in ("propose", "observe"):
            delattr(type(self), hook)
        return ()

    type(mechanism).propose = vanish  # type: ignore[method-assign]
    ran = loop(*DOWN, mechanisms=[mechanism])
    ran.run()
    assert called(ran)[1] == ["propose", "observe"]
    assert called(ran)[5] == ["propose", "observe"]
    assert {row.effect for row in ran.pipeline.ledger.rows("it")} == {Effect.NONE}


def test_a_hook_that_is_no_function_is_an_error_and_no_silence() -> None:
    ran = loop(*DOWN, mechanisms=[doing(propose=None)])
    ran.run()
    rows = ran.pipeline.ledger.rows("it")
    assert [(row.trial, row.effect) for row in rows] == [(t, Effect.ERROR) for t in (1, 2, 3)]
    assert ran.pipeline.attached == ()


class Closes(Mechanism):
    name = "it"
    closed = 0

    def propose(self, view: View) -> Sequence[Proposal]:
        return [Proposal({"BATCH": 1})]

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return [c for c in candidates if c.origin == "it"] or candidates

    def observe(self, view: View, trial: Trial) -> None:
        return

    def close(self) -> None:
        self.closed += 1


def even(trial: int) -> bool:
    return trial % 2 == 0


def coins(ran: Loop) -> list[tuple[int, str]]:
    return [(row.trial, row.did) for row in ran.pipeline.ledger.rows("it") if row.hook == COIN]


def test_with_a_coin_it_acts_in_some_rounds_and_observes_in_all() -> None:
    ran = loop(*DOWN, pipeline=Pipeline(rules=Rules(turn=ALTERNATE)))
    ran.pipeline.attach(Closes(), trial=0, coin=even)
    ran.run()
    assert coins(ran) == [(0, "on"), *((t, "off" if t % 2 else "on") for t in range(1, 6))]
    off, on = ["coin", "observe"], ["coin", "propose", "review", "observe"]
    assert [called(ran)[trial] for trial in range(1, 6)] == [off, on, off, on, off]
    plain = loop(*DOWN)
    plain.run()
    for trial in (1, 3, 5):
        assert ran.trace[trial].proposal == plain.trace[trial].proposal


def test_a_coin_is_flipped_once_a_round_and_in_re_test_rounds_too() -> None:
    ran = loop(*DOWN, batch=2)
    ran.pipeline.attach(Closes(), trial=0, coin=even)
    ran.run()
    assert [trial for trial, _ in coins(ran)] == [0, 1, 3, 5]
    policy = NoiseAware(sd=1.0, threshold_sds=0.0, lucky_sds=99.0)
    ran = loop(*DOWN, acceptance=policy)
    ran.pipeline.attach(Closes(), trial=0, coin=even)
    ran.run()
    assert [trial for trial, _ in coins(ran)] == [*range(6)]


def test_kept_it_acts_in_every_round_from_then_on() -> None:
    ran = loop(*DOWN)
    ran.pipeline.attach(Closes(), trial=0, coin=lambda trial: False)
    ran.run(2)
    ran.pipeline.keep("it")
    ran.run()
    assert coins(ran) == [(0, "off"), (1, "off"), (2, "off")]
    assert [t.proposal.origin for t in ran.trace[1:]] == ["listed", "listed", "it", "it", "it"]


def test_detached_it_is_closed_once_and_its_record_stays() -> None:
    mechanism, ran = Closes(), loop(*DOWN)
    ran.pipeline.attach(mechanism, trial=0, coin=even)
    ran.run(2)
    rows = ran.pipeline.ledger.rows("it")
    ran.pipeline.detach("it", len(ran.trace))
    ran.pipeline.detach("it", len(ran.trace))
    ran.run()
    assert mechanism.closed == 1
    assert ran.pipeline.ledger.rows("it") == rows
    [standing] = ran.view().mechanisms()
    assert (standing.name, standing.attached, standing.state) == ("it", False, "live")


def test_a_mechanism_that_failed_too_often_is_off_whatever_its_coin_would_say() -> None:
    def fails(self: Any, view: View) -> Sequence[Proposal]:
        raise ZeroDivisionError

    ran = loop(*DOWN)
    ran.pipeline.attach(doing(propose=fails), trial=0, coin=lambda trial: True)
    ran.run()
    assert called(ran) == {0: ["coin"]} | {t: ["coin", "propose"] for t in (1, 2, 3)}


def test_the_coin_row_is_no_effect() -> None:
    ran = loop(*DOWN)
    ran.pipeline.attach(doing("observe"), trial=0, coin=even)
    ran.run()
    assert str(ran.pipeline.liveness("it", trial=5)) == "on probation"
    assert str(ran.pipeline.liveness("it", trial=10)) == "dead"
