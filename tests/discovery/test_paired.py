from random import Random

import pytest

from bilevel.discovery.accounts import MECHANISM
from bilevel.discovery.cells import CELLS, Cell, level, written
from bilevel.discovery.paired import Paired
from bilevel.errors import ConfigError
from bilevel.loop.loop import Loop
from bilevel.parameters import Text
from bilevel.space import SearchSpace
from bilevel.tasks.base import Task
from bilevel.trace import Objective, Outcome, Proposal, Trial
from bilevel.view import NO_SETTINGS, Brief, View

TASKS = 12


class Drawn(Task):
    """A suite whose cells are drawn: every candidate differs from nothing by chance, and those
    whose text says `better` by `effect` on average."""

    name = "drawn"

    def __init__(self, seed: int, effect: float = 0.0, stops: bool = False) -> None:
        self.space = SearchSpace((Text(MECHANISM, 99),))
        self.objective = Objective("gain", "maximize")
        self._seed, self._effect, self._stops = seed, effect, stops

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        text = str(self.configured(parent, proposal)[MECHANISM])
        rng, shift = Random(f"{self._seed}/{text}"), self._effect * ("better" in text)
        cells = [Cell(str(t), 0, 0.4 + shift + rng.gauss(0, 0.2)) for t in range(TASKS)]
        early = {"stopped_early": float(self._stops and bool(text))}
        return Outcome(level(cells).mean, metrics=early, notes={CELLS: written(cells)})


class Numbers:
    """Proposes one text after the other."""

    settings = NO_SETTINGS

    def __init__(self, word: str = "idle") -> None:
        self._word = word

    def propose(self, view: View, brief: Brief) -> list[Proposal]:
        return [Proposal({MECHANISM: f"{self._word} {view.trial}"})]


def kept(task: Task, word: str = "idle", trials: int | None = 20, alpha: float = 0.1) -> int:
    loop = Loop(task=task, proposer=Numbers(word), acceptance=Paired(alpha), trials=trials)
    loop.run(20)
    return sum(trial.kept for trial in loop.trace[1:])


@pytest.mark.parametrize("trials", [20, None])
def test_a_search_of_idle_candidates_keeps_one_no_more_often_than_alpha(trials: int | None) -> None:
    """300 searches of 20 candidates without an effect; tested at 5 % each, 64 % would keep one."""
    wrong = sum(kept(Drawn(seed), trials=trials) > 0 for seed in range(300))
    assert wrong / 300 <= 0.1


def test_each_at_five_percent_would_keep_one_most_of_the_time() -> None:
    """The test above can fail: with the correction taken away, it does."""
    wrong = sum(kept(Drawn(seed), alpha=0.99) > 0 for seed in range(100))
    assert wrong / 100 > 0.3


def test_a_large_effect_is_kept() -> None:
    assert sum(kept(Drawn(seed, effect=0.5), "better") > 0 for seed in range(20)) == 20


def test_what_was_stopped_early_is_not() -> None:
    assert kept(Drawn(1, effect=0.5, stops=True), "better") == 0


def test_alpha_is_a_probability() -> None:
    with pytest.raises((ValueError, ConfigError), match="between 0 and 1"):
        Paired(1.5)
