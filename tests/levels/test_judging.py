"""What a mechanism earned, by hand; how surely, by counting; and what Gain makes of it."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import pytest

from bilevel.credit import Credit
from bilevel.errors import ConfigError
from bilevel.levels.judging import Judgement, judgement
from bilevel.loop.acceptance import Gain, NoiseAware
from bilevel.loop.loop import Loop
from bilevel.mechanism import Mechanism
from bilevel.trace import Objective, Outcome, Proposal, Trial
from bilevel.view import View
from tests.helpers import Parabola, invention, loop


class Watching(Mechanism):
    name = "watching"

    def observe(self, view: View, trial: Trial) -> None:
        return


class Failing(Mechanism):
    name = "failing"

    def propose(self, view: View) -> Sequence[Proposal]:
        raise ZeroDivisionError


class Negative(Parabola):
    objective = Objective("score", "maximize")

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        found = super().evaluate(parent, proposal, seed)
        return found if found.value is None else replace(found, value=-found.value)


# values 25 + 6 at the baseline, then 22, 24.25 (discarded), failed, 15, 10
CHANGES: list[dict[str, object]] = [{"X": 4.0}, {"X": 4.5}, {"MODE": "crash"}, {"X": 3.0}, {"X": 2}]


def earned(judged: Judgement) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return judged.on, judged.off


def odd(trial: int) -> bool:
    return trial % 2 == 1


@pytest.mark.parametrize("task", [Parabola, Negative])
def test_what_each_trial_earned(task: type[Parabola]) -> None:
    ran = loop(*CHANGES, task=task())
    ran.pipeline.attach(Watching(), 1, odd)
    ran.run()
    judged = judgement(ran, "watching", 1)
    assert earned(judged) == ((9.0, 0.0, 5.0), (0.0, 7.0))
    assert judged.gain == pytest.approx(14 / 3 - 3.5)
    assert judged.metrics()["on_trials"] == 3.0


def test_from_where_it_was_attached_and_without_a_coin_always_on() -> None:
    ran = loop(*CHANGES)
    ran.run(3)
    ran.pipeline.attach(Watching(), 4)
    ran.run()
    judged = judgement(ran, "watching", 4)
    assert earned(judged) == ((7.0, 5.0), ())
    assert (judged.gain, judged.p_value, judged.smallest_p) == (None, None, None)
    assert judged.metrics() == {
        "on_trials": 2.0, "off_trials": 0.0, "own_trials": 0.0, "own_kept": 0.0, "own_failed": 0.0,
        "proposers_trials": 2.0, "proposers_kept": 2.0, "proposers_failed": 0.0,
        "proposers_mean_change": -6.0,
    }  # fmt: skip
    assert str(judged) == (
        "it caused no trials; the proposer meanwhile: 2 trials, 2 kept, 0 failed, mean change "
        "-6.000000. On in 2 trials, off in 0: nothing to compare"
    )


def test_the_trials_of_a_batch_share_their_rounds_coin() -> None:
    ran = loop(*CHANGES, batch=2)
    ran.pipeline.attach(Watching(), 1, lambda trial: trial == 3)
    ran.run()
    # rounds 1-2, 3-4 and 5
    assert earned(judgement(ran, "watching", 1)) == ((0.0, 7.0), (9.0, 0.0, 5.0))


class Lucky(Parabola):
    """The first gain is luck: measured again, it is gone."""

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        if proposal.origin == "retest":
            return Outcome(99.0)
        return super().evaluate(parent, proposal, seed)


def test_re_tests_are_left_out_and_luck_earns_nothing() -> None:
    policy = NoiseAware(sd=2.0, threshold_sds=0.0, lucky_sds=4.0)  # lucky below 11.3
    ran = loop({"X": 4.0}, {"X": 0}, {"X": 4.5}, {"X": 5}, task=Lucky(), acceptance=policy)
    ran.pipeline.attach(Watching(), 1, odd)
    ran.run()
    assert [trial.retest_of for trial in ran.trace] == [None, None, 1, None, None]
    assert [str(t.decision) for t in ran.trace[1:]] == ["keep", "discard", "keep", "discard"]
    # the 22 of trial 1 was luck: trial 3 is compared with the baseline
    assert [trial.value for trial in ran.trace] == [31.0, 22.0, 99.0, 6.0, 26.25]
    assert earned(judgement(ran, "watching", 1)) == ((0.0, 25.0), (0.0,))


def test_what_came_after_it_failed_too_often_is_not_counted() -> None:
    ran = loop(*CHANGES)
    ran.pipeline.attach(Failing(), 1, lambda trial: True)
    ran.run()
    assert ran.pipeline.attached == ()
    assert earned(judgement(ran, "failing", 1)) == ((9.0, 0.0, 0.0), ())


def test_what_was_left_out_was_never_on() -> None:
    ran = loop(*CHANGES)
    ran.run()
    assert earned(judgement(ran, "nobody", 1)) == ((), ())


def enumerated(on: Sequence[float], off: Sequence[float]) -> float:
    """The share of all ways to choose who was on that earn as much or more."""
    every = [*on, *off]
    reached = [
        fmean(chosen) - (sum(every) - sum(chosen)) / len(off) >= fmean(on) - fmean(off) - 1e-12
        for chosen in itertools.combinations(every, len(on))
    ]
    return sum(reached) / len(reached)


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ((0.3, 0.0, 0.2, 0.0, 0.1), (0.0, 0.0, 0.0, 0.05, 0.0)),
        ((0.0, 0.0, 0.0), (0.4, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0)),
        ((0.5, 0.2), (0.1, 0.0, 0.3, 0.05)),
        ((0.0, 0.0), (0.0, 0.0)),
    ],
)
def test_p_is_the_share_of_all_assignments(on: tuple[float, ...], off: tuple[float, ...]) -> None:
    assert Judgement(on, off).p_value == pytest.approx(enumerated(on, off))


def test_p_needs_two_of_each() -> None:
    assert Judgement((1.0,), (0.0, 0.5, 0.2)).p_value is None
    assert Judgement((1.0, 0.0, 0.2), (0.5,)).p_value is None


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ((0.3, 0.0, 0.2, 0.0, 0.0), (0.0, 0.0, 0.0, 0.05, 0.0)),
        ((0.0, 0.0, 0.0), (0.4, 0.0, 0.0, 0.0, 0.0, 0.0)),
        ((0.5, 0.2), (0.1, 0.0, 0.3, 0.05)),
        ((0.0, 0.0), (0.0, 0.0)),
    ],
)
def test_the_smallest_p_is_that_of_the_most_uneven_assignment(
    on: tuple[float, ...], off: tuple[float, ...]
) -> None:
    first, second = Judgement(on, off), sorted((*on, *off), reverse=True)
    uneven = Judgement(tuple(second[: len(on)]), tuple(second[len(on) :]))
    assert first.smallest_p == uneven.p_value == pytest.approx(enumerated(uneven.on, uneven.off))


def test_where_few_trials_earn_nothing_can_be_told_and_that_is_said() -> None:
    """Two of ten trials earned something: no difference of them says anything."""
    judged = Judgement((0.3, 0.0, 0.2, 0.0, 0.0), (0.0,) * 5)
    assert judged.smallest_p == pytest.approx(56 / 252)
    assert str(judged).endswith(
        ". By the coin, 5 trials with it earned 0.100000 each, 5 without 0.000000: a difference of "
        "+0.100000, p = 0.222, one-sided. What was earned could not have given a p below 0.222, "
        "whoever earned it, so nothing is told of its worth"
    )


def test_the_words() -> None:
    on, off = (0.3, 0.1, 0.2, 0.5), (0.0, 0.4, 0.15, 0.05)
    judged = Judgement(on, off)
    assert str(judged) == (
        "it caused no trials; the proposer meanwhile: no trials. "
        "By the coin, 4 trials with it earned 0.275000 each, 4 without 0.150000: a difference of "
        f"+0.125000, p = {judged.p_value:.3f}, one-sided: chance gives as much"
    )
    assert str(Judgement((1.0, 2.0, 3.0, 4.0), (0.0, 0.1, 0.2, 0.3))).endswith(
        "p = 0.014, one-sided"
    )
    assert str(Judgement((0.0, 0.0), (0.0,))).endswith(
        "+0.000000. Nothing varied, so nothing can be told of its worth"
    )
    one = Judgement((0.5,), (0.0, 0.1))
    assert str(one).endswith("+0.450000. One trial on a side tells nothing of its worth")
    told = one.metrics().keys()
    assert {"on_trials", "off_trials", "mechanism_gain"} <= told
    assert not {"mechanism_p", "own_ahead", "own_mean_change"} & told


@pytest.mark.parametrize(
    ("direction", "own", "ahead"), [("minimize", -0.2, 0.1), ("maximize", -0.2, -0.1)]
)
def test_by_how_much_its_own_trials_were_ahead(direction: str, own: float, ahead: float) -> None:
    credit, proposers = Credit(3, 1, 0, own), Credit(4, 2, 0, -0.1)
    judged = Judgement((0.1,), (0.0,), credit, proposers, direction)
    assert judged.metrics()["own_ahead"] == pytest.approx(ahead)
    assert Judgement((), (), credit, Credit(), direction).ahead is None
    assert Judgement((), (), Credit(), proposers, direction).ahead is None


def judged_trial(ran: Loop, admitted: bool, value: float | None = 0.1, **metrics: float) -> Trial:
    base: Trial = ran.trace[0]
    made = invention("mine", "", admitted=admitted)
    outcome = base.outcome if value is None else Outcome(value, metrics=metrics)
    return replace(base, proposal=Proposal({}, mechanism=made), outcome=outcome)


def test_gain_keeps_what_earned_more_and_whatever_brings_no_mechanism() -> None:
    ran = loop(*CHANGES)
    ran.run(1)
    view, gain = ran.view(), Gain()
    assert gain.accept(view, judged_trial(ran, True, mechanism_gain=1e-9))
    assert not gain.accept(view, judged_trial(ran, True, mechanism_gain=0.0))
    assert not gain.accept(view, judged_trial(ran, True, value=5.0, mechanism_gain=-0.1))
    assert not gain.accept(view, judged_trial(ran, True, value=5.0))  # never on, or never off
    assert gain.accept(view, judged_trial(ran, False, value=0.0))
    assert gain.accept(view, ran.trace[0])


def test_by_credit_it_has_to_be_ahead_with_the_trials_that_it_caused() -> None:
    ran = loop(*CHANGES)
    ran.run(1)
    view, both = ran.view(), Gain(by=["coin", "credit"])
    lucky = {"mechanism_gain": 1.0}  # the proposer earned it, in rounds in which the coin was up
    assert not both.accept(view, judged_trial(ran, True, own_ahead=-0.03, **lucky))
    assert not both.accept(view, judged_trial(ran, True, own_ahead=0.0, **lucky))
    assert both.accept(view, judged_trial(ran, True, own_ahead=0.01, **lucky))
    assert both.accept(view, judged_trial(ran, True, **lucky))  # it caused none: the coin decides
    assert not both.accept(view, judged_trial(ran, True, mechanism_gain=0.0, own_ahead=1.0))
    assert Gain(by=["credit"]).accept(view, judged_trial(ran, True, own_ahead=0.01))
    older = Gain()  # by the coin alone
    assert older.accept(view, judged_trial(ran, True, own_ahead=-0.03, **lucky))
    for wrong in ([], ["luck"]):
        with pytest.raises(ConfigError, match="expected some of coin, credit"):
            Gain(by=wrong)
