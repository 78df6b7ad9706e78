"""Optuna's samplers: what they are told, that they learn, and the loop they set from above."""

import functools
import logging
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
import threadpoolctl

from bilevel.baselines.optuna_search import OptunaSearch
from bilevel.errors import ConfigError
from bilevel.levels.segment import Segment
from bilevel.loop.acceptance import Always
from bilevel.loop.loop import Loop
from bilevel.parameters import Choice, Float, Int, Text
from bilevel.space import SearchSpace
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Proposal
from bilevel.view import Brief, View
from tests.baselines.support import proposer, search
from tests.helpers import GUIDED, SPACE, Listed, Parabola, loop

TPE = functools.partial(optuna.samplers.TPESampler, n_startup_trials=5)
RANDOM = optuna.samplers.RandomSampler


class Seen(OptunaSearch):
    """Lets a test look at the study."""

    @property
    def trials(self) -> list[Any]:
        assert self._study is not None
        return self._study.optuna.trials


class Twice(Seen):
    """Asks twice a round, and has only the second one run."""

    def propose(self, view: View, brief: Brief) -> list[Proposal]:
        super().propose(view, brief)
        return [*super().propose(view, brief)]


def ran(made: OptunaSearch, trials: int = 12) -> Loop:
    made_loop = loop(task=Parabola(), proposer=made, trials=trials)
    made_loop.run()
    return made_loop


def test_the_baseline_is_told_first_and_then_every_trial_in_order() -> None:
    made = Seen(SPACE, sampler=TPE)
    searched = ran(made)
    known = made.trials[: len(searched.trace) - 1]  # the last trial is told when asked again
    assert known[0].params == {"X": 5.0, "BATCH": 6, "MODE": 0}
    for told, trial in zip(known, searched.trace, strict=False):
        assert 1 << told.params["BATCH"] == trial.config["BATCH"]
        assert told.params["X"] == pytest.approx(trial.config["X"], rel=1e-5)
        if trial.value is not None:
            assert told.value == trial.value


def test_crashes_are_told_as_worse_than_the_worst() -> None:
    made = Seen(SPACE, sampler=RANDOM)
    searched = ran(made, 20)
    crashed = {t.number for t in searched.trace[:-1] if t.value is None}
    values = [t.value for t in made.trials[: len(searched.trace) - 1]]
    assert 3 <= len(crashed) <= 17
    fine = [value for number, value in enumerate(values) if number not in crashed]
    assert min(values[number] for number in crashed) > max(fine)


def test_what_was_asked_for_and_never_ran_is_told_to_have_failed() -> None:
    made = Twice(SPACE, sampler=RANDOM)
    searched = ran(made, 6)
    states = [t.state for t in made.trials]
    assert states.count(optuna.trial.TrialState.FAIL) == 5  # the sixth is still open
    assert states.count(optuna.trial.TrialState.COMPLETE) == len(searched.trace) - 1


def test_somebody_else_s_trials_are_learned_from() -> None:
    made = Seen(SPACE, sampler=TPE)
    foreign = loop({"X": 4.0}, {"X": 3.0}, {"MODE": "crash"})
    foreign.run()
    made.propose(foreign.view(), Brief())
    assert [t.params["X"] for t in made.trials[:4]] == [5.0, 4.0, 3.0, 3.0]


def test_it_is_quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        ran(OptunaSearch(SPACE, sampler=TPE))
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_parameters_that_no_sampler_searches_are_refused_before_the_search() -> None:
    space = SearchSpace((Float("X", 0.0, 1.0, 0.5), Text("NOTE", 10)))
    with pytest.raises(ConfigError, match="NOTE is a Text"):
        OptunaSearch(space, sampler=TPE)
    OptunaSearch(space, sampler=TPE, only=["X"])
    OptunaSearch(SearchSpace(space.parameters, locked=("NOTE",)), sampler=TPE)


@pytest.mark.parametrize("arm", ["tpe", "cmaes"])
def test_it_beats_random_search_without_noise(arm: str) -> None:
    def delta(name: str) -> float:
        task = Surrogate("trap")
        found = [search(name, seed, trials=30, noise_sd=0.0)[0].best for seed in range(1, 9)]
        return sum(task.exact(t.config) for t in found if t) / len(found)

    assert delta(arm) < delta("random") - 0.005


@pytest.mark.parametrize(("arm", "drawn", "proposals"), [("tpe", 9, 30), ("optuna", 1, 5)])
def test_so_many_proposals_of_thirty_trials_are_drawn_at_random(
    monkeypatch: pytest.MonkeyPatch, arm: str, drawn: int, proposals: int
) -> None:
    at_random: set[int] = set()
    sample = RANDOM.sample_independent

    def counted(self: Any, study: Any, trial: Any, *rest: Any) -> Any:
        at_random.add(trial.number)
        return sample(self, study, trial, *rest)

    monkeypatch.setattr(RANDOM, "sample_independent", counted)
    outermost = search(arm, trials=30)[-1]
    assert len(outermost.trace) == 1 + proposals
    assert at_random == set(range(1, 1 + drawn))  # 0 is the baseline, which counts


class TestAboveALoop:
    def test_thirty_trials_give_five_proposals_of_settings(self) -> None:
        inner, outer = search("optuna", trials=30)
        assert len(outer.trace) == 6
        touched: set[str] = set()
        for trial in outer.trace[1:]:
            assert trial.kept
            touched |= set(trial.proposal.changes)
        assert touched == {"temperature", "history_shown", "max_changes", "strategy"}
        assert inner.settings == outer.trace[-1].config
        assert inner.settings["guidance"] == ""
        assert inner.settings["frozen"] == ()

    def test_it_is_told_the_gain_as_something_to_raise(self) -> None:
        made = Seen(sampler=TPE, only=["temperature"])
        space = SearchSpace((Float("temperature", 0.0, 1.0, 0.5),))
        below = loop(
            {"X": 4.0}, {"X": 1.0}, proposer=Listed({"X": 4.0}, {"X": 1.0}, settings=space)
        )
        outer = Loop(
            task=Segment(below, 1), proposer=made, acceptance=Always(), level=1.5, trials=2
        )
        outer.run()
        made.propose(outer.view(), Brief())
        gains = [trial.value for trial in outer.trace]
        assert gains == [9.0, 15.0]
        assert [t.value for t in made.trials[:2]] == [-9.0, -15.0]

    def test_a_proposer_without_these_settings_is_left_alone_and_it_is_said(self) -> None:
        below = loop({"X": 4.0}, {"X": 3.0}, proposer=Listed({"X": 4.0}, settings=GUIDED))
        made = OptunaSearch(sampler=TPE, only=["temperature", "guidance"])
        outer = Loop(
            task=Segment(below, 1), proposer=made, acceptance=Always(), level=1.5, trials=2
        )
        outer.run()
        changes: Mapping[str, object] = outer.trace[1].proposal.changes
        assert changes == {}
        assert outer.trace[1].proposal.hypothesis.endswith("no parameter temperature")


CMAES = functools.partial(optuna.samplers.CmaEsSampler, warn_independent_sampling=False)
CHOICES = SearchSpace(
    (Choice("A", ("x", "y", "z"), "x"), Choice("B", (1, 2), 1), Int("C", 3, 3, 3))
)


class TestWhereCmaEsStarts:
    def first(self, **options: Any) -> list[float]:
        """The X of its first proposals, which are drawn around its start."""
        made = OptunaSearch(SPACE, sampler=CMAES, **options)
        at = loop_of_one().view()
        drawn = [made.propose(at, Brief())[0].changes.get("X", 5.0) for _ in range(40)]
        return [float(str(x)) for x in drawn]

    def test_at_the_baseline_or_in_the_middle(self) -> None:
        ends = {"baseline": 5.0, "middle": 0.0}
        for start, expected in ends.items():
            assert sum(self.first(start=start)) / 40 == pytest.approx(expected, abs=1.5)

    def test_a_search_begun_before_it_could_starts_in_the_middle(self) -> None:
        assert self.first() == self.first(start="middle")

    def test_anywhere_else_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="start='best': expected baseline or middle"):
            OptunaSearch(SPACE, sampler=CMAES, start="best")

    def test_over_choices_alone_it_would_be_random_search_and_is_refused(self) -> None:
        with pytest.raises(
            ConfigError, match=r"parameters are: A, B, C; choose arm=random .* arm=tpe"
        ):
            OptunaSearch(CHOICES, sampler=CMAES, start="baseline")
        with pytest.raises(ConfigError, match="searches numbers"):
            proposer("cmaes", CHOICES)
        proposer("tpe", CHOICES)

    def test_what_it_draws_at_random_is_said(self) -> None:
        made = OptunaSearch(SPACE, sampler=CMAES, start="baseline")
        said = made.propose(loop_of_one().view(), Brief())[0].hypothesis
        assert said == "drawn by CmaEsSampler, MODE at random"

    def test_one_number_is_enough(self) -> None:
        made = OptunaSearch(SPACE, sampler=CMAES, start="baseline", only=["X"])
        assert set(ran(made).trace[-1].proposal.changes) == {"X"}


def loop_of_one() -> Loop:
    made = loop({})
    made.run()
    return made


def test_a_sampler_is_asked_on_one_thread() -> None:
    threads: list[int] = []

    class Watched(optuna.samplers.RandomSampler):
        def sample_independent(self, *given: Any) -> Any:
            threads.extend(pool["num_threads"] for pool in threadpoolctl.threadpool_info())
            return super().sample_independent(*given)

    with threadpoolctl.threadpool_limits(2):
        ran(OptunaSearch(SPACE, sampler=Watched), 2)
        assert 2 in {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    assert set(threads) == {1}
