from typing import Any

from bilevel.discovery.accounts import MECHANISM, texts
from bilevel.discovery.archive import archive, parents
from bilevel.discovery.cells import CELLS, Cell, written
from bilevel.invention import Admission, Attempt, Invention
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.parameters import Text
from bilevel.space import SearchSpace
from bilevel.tasks.base import Task
from bilevel.trace import FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import NO_SETTINGS, Brief, View

TRIED: list[tuple[str, tuple[str, ...], float, float | None, float]] = [
    ("first", ("propose",), 1.0, 0.4, 0.0),
    ("better of its kind", ("propose",), 0.9, 0.5, 0.0),
    ("other hooks", ("review",), 1.0, 0.1, 0.0),
    ("acts less", ("propose",), 0.3, 0.2, 0.0),
    ("stopped", ("accept",), 0.3, 0.9, 1.0),
    ("failed", ("parent",), 0.3, None, 0.0),
    ("worse of its kind", ("review",), 1.0, 0.05, 0.0),
]


RESULTS = {name: (hooks, taken, gain, early) for name, hooks, taken, gain, early in TRIED}


class Told(Task):
    """Gives each text the gain and the behaviour that TRIED says."""

    name = "told"
    space = SearchSpace((Text(MECHANISM, 99),))
    objective = Objective("gain", "maximize")

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        text = str(self.configured(parent, proposal)[MECHANISM])
        _, taken, gain, stopped = RESULTS.get(text, ((), 0.0, 0.0, 0.0))
        if gain is None:
            return Outcome.failed(FailureKind.INVALID_PROPOSAL, "not admitted")
        told: dict[str, Any] = {"taken": taken, "stopped_early": stopped}
        told |= dict.fromkeys(["failed_trials", "hook_errors", "over_hook_limit"], 0.0)
        cells = written([Cell("a", 0, gain), Cell("b", 0, gain)])
        return Outcome(gain, metrics=told, notes={CELLS: cells})


class InTurn:
    settings = NO_SETTINGS

    def propose(self, view: View, brief: Brief) -> list[Proposal]:
        name, hooks, *_ = TRIED[view.trial - 1]
        admission = Admission(True, (), name, "code", hooks)
        made = Invention(name, "code", attempts=(Attempt(name, admission),))
        return [Proposal({MECHANISM: name}, f"the idea of {name}", mechanism=made)]


def searched(trials: int) -> View:
    loop = Loop(task=Told(), proposer=InTurn(), acceptance=Greedy(), trials=trials)
    loop.run()
    return loop.view()


def test_the_best_of_every_kind_of_behaviour_is_kept() -> None:
    kept = [str(trial.config[MECHANISM]) for trial in archive(searched(7)).values()]
    assert kept == ["better of its kind", "other hooks", "acts less"]


def test_two_are_drawn_the_same_ones_for_the_same_trial() -> None:
    view = searched(7)
    drawn = [[t.number for t in parents(view.for_("x"))] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 2
    assert [t.number for t in parents(searched(1))] == [1]
    assert parents(searched(0)) == []


def test_each_is_told_with_its_text_and_its_gain() -> None:
    view = searched(7)
    said = texts(view, list(archive(view).values()))
    for name in ("better of its kind", "other hooks", "acts less"):
        assert f"```python\n{name}\n```" in said
        assert f"the idea of {name}" in said
    assert "0.500 ± 0.000, +0.500 ± 0.000 against none" in said
