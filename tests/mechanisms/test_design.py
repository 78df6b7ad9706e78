"""The design screens in an orthogonal array and follows what stands out."""

from collections.abc import Sequence
from itertools import combinations

import pytest

from bilevel.loop.activations import Liveness
from bilevel.mechanism import Mechanism
from bilevel.mechanisms.design import Design
from bilevel.mechanisms.shared.screening import SIZES, array, standing_out
from bilevel.parameters import Float
from bilevel.space import SearchSpace
from bilevel.tasks.base import Task
from bilevel.trace import FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import View
from tests.mechanisms.support import own, search

NAMES = tuple("ABCDEFG")


class Linear(Task):
    """C down and F up help, everything else does nothing; with `limit`, C above it crashes."""

    name = "linear"
    space = SearchSpace(tuple(Float(name, 0.0, 1.0, 0.5) for name in NAMES))
    objective = Objective("val_bpb")

    def __init__(self, limit: float = 1.0) -> None:
        self.limit = limit

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config = {n: float(str(v)) for n, v in self.configured(parent, proposal).items()}
        if config["C"] > self.limit:
            return Outcome.failed(FailureKind.CRASH, "C is too large")
        idle = sum(config[name] * place for place, name in enumerate("ABDEG", start=1))
        return Outcome(1.0 + config["C"] - 0.6 * config["F"] + 0.001 * idle)


@pytest.mark.parametrize("runs", SIZES)
def test_an_array_is_balanced_and_orthogonal(runs: int) -> None:
    columns = list(zip(*array(runs), strict=True))
    assert len(columns) == runs - 1
    assert {abs(sign) for column in columns for sign in column} == {1}
    assert all(sum(column) == 0 for column in columns)
    for one, other in combinations(columns, 2):
        assert sum(a * b for a, b in zip(one, other, strict=True)) == 0


def test_effects_beyond_the_noise_stand_out() -> None:
    effects = {"A": 0.01, "B": -0.012, "C": 0.5, "D": 0.008, "E": -0.3, "F": 0.011, "G": 0.0}
    assert standing_out(effects) == ["C", "E"]
    assert standing_out({}) == []


class Never(Mechanism):
    """Keeps nothing, so that everything is built on the baseline."""

    name = "never"

    def accept(self, view: View, trial: Trial) -> bool:
        return False


def test_it_screens_and_then_follows_the_main_effects_to_the_end() -> None:
    ran = search(Design(budget=0.5), task=Linear(), trials=20)
    mine = own(ran, "design")
    assert [t.number for t in mine[:8]] == list(range(1, 9))
    assert {name for t in mine[8:] for name in t.proposal.changes} == {"C", "F"}
    assert ran.best is not None
    assert (ran.best.config["C"], ran.best.config["F"]) == (0.0, 1.0)


def test_the_main_effects_are_tried_together_once_and_then_alone() -> None:
    mine = own(search(Design(), Never(), task=Linear(), trials=20), "design")
    followed = [dict(t.proposal.changes) for t in mine[8:]]
    assert followed == [{"C": 0.375, "F": 0.625}, {"C": 0.375}, {"F": 0.625}]
    assert mine[8].proposal.hypothesis == "main effects together: C, F"


def test_a_level_that_crashes_is_a_bad_level() -> None:
    ran = search(Design(budget=0.5), Never(), task=Linear(limit=0.6), trials=20)
    mine = own(ran, "design")
    assert sum(t.value is None for t in mine[:8]) == 4
    assert mine[8].proposal.changes["C"] == 0.375


def test_an_array_never_takes_more_than_its_budget() -> None:
    ran = search(Design(budget=0.5), task=Linear(), trials=8)
    screening = [t for t in own(ran, "design") if "screening" in t.proposal.hypothesis]
    assert len(screening) == 4
    assert own(search(Design(budget=0.5), task=Linear(), trials=6), "design") == []


class Thief(Mechanism):
    """Takes the third trial from the design."""

    name = "thief"

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return [c for c in candidates if view.trial != 3 or c.origin != "design"]


def test_a_run_that_lost_its_turn_comes_again() -> None:
    ran = search(Thief(), Design(), task=Linear(), trials=20)
    said = [t.proposal.hypothesis.split(" of ")[0] for t in ran.trace[1:10]]
    assert said.pop(2).startswith("Changing")
    assert said == [f"screening run {n}" for n in (1, 2, 4, 5, 6, 7, 8, 3)]


def test_it_is_live_where_many_effects_are_as_small_as_the_noise() -> None:
    ran = search(Design(), task="noisy", trials=30)
    assert len(own(ran, "design")) >= 12
    assert ran.pipeline.liveness("design", trial=31) is Liveness.LIVE
