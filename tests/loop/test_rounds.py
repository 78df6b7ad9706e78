"""What a mechanism changed is what the round would have tried without it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.loop.activations import Effect, Liveness
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.loop.rounds import Review, Round, Turn, left
from bilevel.loop.rules import ALTERNATE, HOOK, PROPOSER, Rules
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal
from bilevel.view import Brief, View
from tests.helpers import SPACE, Listed, loop

DOWN: list[dict[str, object]] = [{"X": x} for x in (4.0, 3.0, 2.0, 1.0, 0.5, 0.25)]


def doing(name: str, **hooks: Any) -> Mechanism:
    made = type(name.title(), (Mechanism,), {"name": name, **hooks})()
    assert isinstance(made, Mechanism)
    return made


def rejecting(name: str = "rejects") -> Mechanism:
    return doing(name, review=lambda self, view, cs: [c.reject("no") for c in cs])


def proposing(name: str, x: float) -> Mechanism:
    return doing(name, propose=lambda self, view: [Proposal({"X": x + view.trial / 100})])


def effects(ran: Loop, name: str) -> dict[str, int]:
    return ran.pipeline.ledger.counts(name)


def test_rejecting_all_in_front_of_a_stubborn_proposer_is_not_live() -> None:
    """It was live in every trial of a search whose trace was the same without it."""

    def searched(*mechanisms: Mechanism) -> Loop:
        made = loop(*DOWN, mechanisms=mechanisms, proposer=Listed({"X": 4.0}), trials=36)
        made.run()
        return made

    ran, plain = searched(rejecting()), searched()
    assert [t.config for t in ran.trace] == [t.config for t in plain.trace]
    assert ran.pipeline.liveness("rejects", trial=36) is Liveness.DEAD
    assert not [t for t in ran.trace if t.caused_by or t.displaced is not None]
    old = Loop(
        task=ran.task,
        proposer=Listed({"X": 4.0}),
        acceptance=ran._acceptance,
        trials=36,
        pipeline=Pipeline([rejecting()], rules=Rules(live=HOOK)),
    )
    old.run()
    assert old.pipeline.liveness("rejects", trial=36) is Liveness.LIVE  # as old journals have it


def test_rejecting_what_leads_to_another_candidate_is_live_and_says_what_it_displaced() -> None:
    once = doing(
        "once",
        review=lambda self, view, cs: [
            c.reject("no") if c.changes == {"X": 4.0} else c for c in cs
        ],
    )
    ran = loop({"X": 4.0}, {"X": 3.0}, mechanisms=[once], trials=1)
    ran.run()
    assert ran.trace[1].config["X"] == 3.0
    assert ran.trace[1].caused_by == ("once",)
    assert ran.trace[1].displaced == {"X": 4.0}
    rows = [r for r in ran.pipeline.ledger.rows("once") if r.effect is Effect.DECISION]
    assert [(r.did, r.without) for r in rows] == [("{'X': 3.0}", "{'X': 4.0}")]


def test_an_order_that_a_later_step_overrides_does_not_count() -> None:
    def turned(self: Any, view: View, cs: Sequence[Proposal]) -> Sequence[Proposal]:
        return [*reversed(cs)]

    def sorts(self: Any, view: View, cs: Sequence[Proposal]) -> Sequence[Proposal]:
        return sorted(cs, key=lambda c: str(c.changes))

    class Two(Listed):
        def propose(self, view: View, brief: Any) -> Sequence[Proposal]:
            return [Proposal({"X": 1.0 + view.trial}), Proposal({"X": 2.0 + view.trial})]

    ran = loop(
        *DOWN,
        mechanisms=[doing("turns", review=turned), doing("sorts", review=sorts)],
        proposer=Two({}),
    )
    ran.run()
    assert effects(ran, "turns") == {"review.none": 6}
    assert effects(ran, "sorts") == {"review.decision": 6}  # without it, the turned one is tried
    assert {t.caused_by for t in ran.trace[1:]} == {("sorts",)}
    assert {t.displaced for t in ran.trace[1:]} == {None}  # together they changed nothing


def test_a_parent_counts_only_where_it_is_the_one_built_on() -> None:
    def names(number: int) -> Any:
        return lambda self, view: min(number, view.trial - 1)

    first, last = doing("first", parent=names(0)), doing("last", parent=names(1))
    ran = loop(*DOWN, mechanisms=[first, last])
    ran.run()
    assert effects(ran, "first") == {"parent.none": 6}
    assert effects(ran, "last")["parent.decision"] == 5  # in trial 1 both name the baseline
    agreeing = loop(*DOWN, mechanisms=[first, doing("same", parent=names(0))])
    agreeing.run()
    assert effects(agreeing, "same") == {"parent.none": 6}  # either one would do


def test_a_verdict_counts_only_where_the_others_would_have_said_otherwise() -> None:
    def says(verdict: bool | None) -> Any:
        return lambda self, view, trial: verdict

    ran = loop({"X": 9.0}, mechanisms=[doing("keeps", accept=says(True))])
    ran.run()
    assert ran.trace[1].kept
    assert effects(ran, "keeps") == {"accept.decision": 1}
    ran = loop(
        {"X": 9.0}, mechanisms=[doing("one", accept=says(True)), doing("two", accept=says(True))]
    )
    ran.run()
    assert effects(ran, "one") == effects(ran, "two") == {"accept.none": 1}
    ran = loop({"X": 1.0}, mechanisms=[doing("nods", accept=says(True))])
    ran.run()
    assert effects(ran, "nods") == {"accept.none": 1}


def test_what_a_mechanism_proposes_has_its_turn_without_a_review() -> None:
    """With one candidate a round it waited behind the proposer's and was never tried."""
    for rules, displaced in ((Rules(), None), (Rules(turn=ALTERNATE), {"X": 4.0})):
        ran = loop(*DOWN, pipeline=Pipeline([proposing("pushes", 2.0)], rules=rules))
        ran.run()
        origins = [t.proposal.origin for t in ran.trace[1:]]
        assert origins == ["pushes", "listed"] * 3
        assert [t.caused_by for t in ran.trace[1:]] == [("pushes",), ()] * 3
        assert ran.trace[1].displaced == displaced
        assert ran.pipeline.liveness("pushes", trial=6) is Liveness.LIVE


def test_where_a_mechanism_has_its_turn_the_proposer_is_asked_only_for_what_it_leaves() -> None:
    class Asked(Listed):
        def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
            asked.append((view.trial, brief.text))
            return super().propose(view, brief)

    def searched(*mechanisms: Mechanism, batch: int = 1) -> list[str]:
        asked.clear()
        ran = loop(*DOWN, mechanisms=mechanisms, proposer=Asked(*DOWN), batch=batch)
        ran.run()
        return [t.proposal.origin for t in ran.trace[1:]]

    asked: list[tuple[int, str]] = []
    assert searched(proposing("pushes", 2.0)) == ["pushes", "listed"] * 3
    assert [trial for trial, _ in asked] == [2, 4, 6]
    spoils = doing(
        "spoils",
        review=lambda self, view, cs: [
            c.reject("too far") if c.origin == "pushes" else c for c in cs
        ],
    )
    assert searched(proposing("pushes", 2.0), spoils) == ["listed"] * 6
    assert [trial for trial, _ in asked] == [1, 2, 3, 4, 5, 6]
    assert ["too far" in text for _, text in asked] == [True, False] * 3
    assert searched(proposing("pushes", 2.0), batch=2) == [
        *("pushes", "listed"),
        *("listed", "pushes"),
        *("pushes", "listed"),
    ]


def test_mechanisms_share_the_turns_evenly() -> None:
    ran = loop(*DOWN, *DOWN, mechanisms=[proposing("a", 2.0), proposing("b", 1.0)])
    ran.run()
    assert [t.proposal.origin for t in ran.trace[1:]] == ["a", "listed", "b", "listed"] * 3


def test_under_the_older_rule_they_wait_behind_the_proposers() -> None:
    ran = loop(*DOWN, pipeline=Pipeline([proposing("pushes", 2.0)], rules=Rules(turn=PROPOSER)))
    ran.run()
    assert {t.proposal.origin for t in ran.trace[1:]} == {"listed"}


def test_proposing_what_the_proposer_proposes_is_no_decision() -> None:
    echoes = doing("echoes", propose=lambda self, view: [Proposal(dict(DOWN[view.trial - 1]))])
    ran = loop(*DOWN, pipeline=Pipeline([echoes], rules=Rules(turn=ALTERNATE)))
    ran.run()
    assert effects(ran, "echoes") == {"propose.none": 6}
    assert not any(t.caused_by for t in ran.trace)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_in_a_batch_only_the_trials_it_caused_are_its(batch: int) -> None:
    class Four(Listed):
        def propose(self, view: View, brief: Any) -> Sequence[Proposal]:
            return [Proposal({"X": n + view.trial / 10}) for n in range(1, 4)]

    ran = loop(*DOWN, mechanisms=[proposing("pushes", 7.0)], proposer=Four({}), batch=batch)
    ran.run()
    for trial in ran.trace[1:]:
        assert (trial.caused_by == ("pushes",)) == (trial.proposal.origin == "pushes")
    assert any(trial.caused_by for trial in ran.trace)


PROPOSALS = st.integers(0, 4).map(lambda n: Proposal({"X": n}))
FRESH = st.lists(st.tuples(st.sampled_from(["", "m"]), PROPOSALS), max_size=5)


@st.composite
def reviewed(draw: st.DrawFn) -> tuple[tuple[Proposal, ...], tuple[Proposal, ...]]:
    """What a review was given, and anything it may have made of it."""
    given_ = tuple(draw(st.lists(PROPOSALS, max_size=5)))
    made = [*draw(st.permutations(given_))] if given_ else []
    made = [c.reject("no") if draw(st.booleans()) else c for c in made if draw(st.booleans())]
    return given_, (*made, *draw(st.lists(PROPOSALS.map(lambda p: Proposal({"Y": 1})), max_size=1)))


@given(reviewed())
def test_a_review_done_again_to_what_it_was_given_comes_to_what_it_made(
    seen: tuple[tuple[Proposal, ...], tuple[Proposal, ...]],
) -> None:
    given_, made = seen
    kept, dropped = Review("m", given_, made).again(given_)
    assert kept == [c for c in made if not c.rejected]
    said = {str(c.changes) for c in (*kept, *dropped)}
    replaced = sum("Y" in c.changes for c in made)
    lost = {str(c.changes) for c in given_} - said
    assert len(lost) <= replaced  # whatever is neither kept nor dropped was edited


@given(FRESH, reviewed(), st.integers(1, 3))
def test_without_anyone_the_proposers_own_are_tried(
    fresh: list[tuple[str, Proposal]], seen: Any, batch: int
) -> None:
    candidates = [c for _, c in fresh]
    review = Review("m", tuple(candidates), tuple(reversed(candidates)))
    made = Round(SPACE, {"X": 9}, batch, [Turn(tuple(fresh), [review])])
    own = [c for name, c in fresh if not name]
    assert made.chosen(lambda name, hook: True) == own[:batch]
    assert made.chosen() == left(candidates, [review])[0][:batch]


def test_another_list_keeps_what_the_review_never_saw_in_its_place() -> None:
    a, b, c, d = (Proposal({"X": n}) for n in range(4))
    review = Review("m", (a, b, c), (c, a, b.reject("no")))
    assert review.again([d, a, c]) == ([d, c, a], [])
    assert review.again([b, d]) == ([d], [b.reject("no")])
    assert review.again([a, d]) == ([a, d], [])
