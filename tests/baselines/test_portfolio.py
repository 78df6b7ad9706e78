"""Members share the trials of one search, credited by their own; who fails is passed over."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.baselines.member_credit import MemberCredit, credits, noted, order, passed_over
from bilevel.baselines.portfolio import OWN, SHUFFLED, Portfolio
from bilevel.errors import BudgetExhausted, ConfigError
from bilevel.loop.loop import Loop
from bilevel.mechanism import Mechanism
from bilevel.parameters import Choice
from bilevel.randomness import keyed
from bilevel.space import SearchSpace
from bilevel.trace import Decision, Proposal
from bilevel.view import Brief, View
from tests.baselines.support import proposer, search
from tests.helpers import SPACE, loop


class Steps(Mechanism):
    """Always a new best."""

    name = "steps"

    def propose(self, view: View) -> Sequence[Proposal]:
        return [Proposal({"X": float(view.base["X"]) * 0.9}, "a step")]  # type: ignore[arg-type]


class Strays(Mechanism):
    """Never one."""

    name = "strays"

    def propose(self, view: View) -> Sequence[Proposal]:
        return [Proposal({"X": 9.0 + view.rng.random()}, "astray")]


class Crashes(Strays):
    name = "crashes"

    def propose(self, view: View) -> Sequence[Proposal]:
        return [Proposal({"MODE": "crash", "X": view.rng.random()})]


class Raises(Mechanism):
    name = "raises"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def propose(self, view: View) -> Sequence[Proposal]:
        raise self._error


class Silent(Mechanism):
    name = "silent"

    def propose(self, view: View) -> Sequence[Proposal]:
        return ()


def portfolio(*members: Mechanism, **settings: Any) -> Portfolio:
    named = {member.name: member for member in members}
    return Portfolio(SPACE, **{"samplers": {}, "mechanisms": named, **settings})


def ran(*members: Mechanism, trials: int = 30, seed: int = 1, **settings: Any) -> Loop:
    made = loop({}, proposer=portfolio(*members, **settings), trials=trials, seed=seed)
    made.run()
    return made


def origins(made: Loop) -> Counter[str]:
    return Counter(trial.proposal.origin for trial in made.trace[1:])


@pytest.mark.parametrize("other", [Strays, Crashes])
def test_who_finds_new_bests_has_most_trials_and_without_its_credit_half(
    other: type[Mechanism],
) -> None:
    shares = {
        whose: sum(origins(ran(Steps(), other(), seed=s, credits=whose))["steps"] for s in range(5))
        for whose in (OWN, SHUFFLED)
    }
    assert shares[OWN] > 0.8 * 150
    assert 0.4 * 150 < shares[SHUFFLED] < 0.6 * 150


def test_credit_is_forgotten() -> None:
    made = ran(Steps(), Strays(), trials=20)

    def counted(forgetting: float) -> float:
        found = credits(made.trace, made.task.objective, ["steps", "strays"], forgetting)
        return sum(one.improved + one.not_improved for one in found.values())

    assert counted(1.0) == 20
    assert counted(0.5) == pytest.approx(2.0, abs=0.01)


def test_a_new_best_that_a_retest_refuted_is_none() -> None:
    made = ran(Steps(), trials=1)
    kept = made.trace[1]
    found = [
        credits(
            made.trace.plus(replace(kept, number=2, retest_of=1, decision=decision)),
            made.task.objective,
            ["steps"],
            1.0,
        )["steps"]
        for decision in (Decision.DISCARD, Decision.KEEP)
    ]
    assert found == [MemberCredit(0.0, 1.0), MemberCredit(1.0, 0.0)]


def test_whose_turn_it_is_follows_from_seed_and_trace_alone() -> None:
    lived = ran(Steps(), Strays(), Crashes(), trials=12)
    at = lived.view().for_("propose/0")
    fresh = portfolio(Steps(), Strays(), Crashes())
    assert fresh.propose(at, Brief(at.trace)) == fresh.propose(at, Brief(at.trace))
    goes_on = ran(Steps(), Strays(), Crashes(), trials=13).trace[13]
    assert fresh.propose(at, Brief(at.trace))[0] == goes_on.proposal


def test_who_fails_is_passed_over_and_its_credit_falls() -> None:
    made = ran(Steps(), Raises(ValueError("no [luck]\nat all")), Silent(), trials=40)
    assert origins(made) == {"steps": 40}
    told = [t.proposal.hypothesis for t in made.trace[1:]]
    assert "[raises passed over: ValueError: no (luck) at all] " in "".join(told)
    assert "[silent passed over: it proposed nothing] " in "".join(told)
    early, late = (sum(len(passed_over(h)) for h in part) for part in (told[:10], told[-10:]))
    assert early > late
    names = ("steps", "raises", "silent")
    found = credits(made.trace, made.task.objective, names, 0.95)
    assert found["steps"].not_improved == 0
    assert all(found[name].improved == 0 < found[name].not_improved for name in names[1:])


def test_where_all_fail_the_trial_fails_and_the_search_goes_on() -> None:
    made = ran(Raises(RuntimeError("broken")), Silent(), trials=3)
    assert [trial.decision for trial in made.trace[1:]] == [Decision.FAIL] * 3
    failure = made.trace[1].outcome.failure
    assert failure is not None
    assert failure.detail == "no member proposed anything"
    assert sorted(passed_over(made.trace[1].proposal.hypothesis)) == ["raises", "silent"]


def test_a_cap_of_the_search_is_nobody_s_failure() -> None:
    with pytest.raises(BudgetExhausted):
        ran(Raises(BudgetExhausted("tokens")), Steps(), trials=30)


def test_a_sampler_that_cannot_search_the_space_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    choices = SearchSpace((Choice("MODE", ("a", "b", "c"), "a"),))
    caplog.set_level(logging.WARNING)
    made = proposer("portfolio", choices)
    assert "goes without cmaes: CMA-ES searches numbers" in caplog.text
    assert isinstance(made, Portfolio)
    with pytest.raises(ConfigError, match="no member is left"):
        portfolio()


def test_a_name_belongs_to_one_member() -> None:
    with pytest.raises(ConfigError, match="steps is there twice"):
        portfolio(Steps(), samplers={"steps": {"proposer": lambda space: Steps()}})


@given(st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.text()), st.text())
def test_who_was_passed_over_is_read_from_what_was_noted(why: dict[str, str], said: str) -> None:
    told = noted(why, said)
    assert passed_over(told) == [*why]
    assert told.endswith(said)


def test_the_order_is_drawn_from_credit() -> None:
    def first(good: float, bad: float) -> int:
        held = {"a": MemberCredit(good, bad), "b": MemberCredit(0.0, 0.0)}
        drawn = [order(held, MemberCredit(1.0, 1.0), keyed(n))[0] for n in range(200)]
        return drawn.count("a")

    assert first(0.0, 20.0) < 20
    assert 70 < first(0.0, 0.0) < 130
    assert first(20.0, 0.0) > 180


def test_every_trial_tells_its_member() -> None:
    [made] = search("portfolio_llm", trials=25)
    found = origins(made)
    assert found.total() == 25
    assert len(found) >= 7
    assert "llm" in found
    assert "optuna" not in found
