"""Some trials in one direction, and what they came to."""

from collections.abc import Sequence
from dataclasses import dataclass

from bilevel.baselines.directions import Direction
from bilevel.baselines.memory import Entry
from bilevel.llm.tables import changed
from bilevel.trace import Trial, elites
from bilevel.view import View


@dataclass(frozen=True)
class Episode:
    """Some trials in one direction, from `start` on; `value` is that of the trial they first
    built on, and `shown` are the entries retrieved for it. `judged` before its end if the search
    ends first."""

    direction: Direction
    start: int
    value: float | None
    shown: tuple[Entry, ...] = ()
    attempt: int = 1
    judged: bool = False

    def result(self, view: View) -> "_Result":
        ran = [trial for trial in view.trace[self.start :] if trial.retest_of is None]
        return _Result(view, self.value, ran, next(iter(elites(ran, view.objective, 1)), None))


@dataclass(frozen=True)
class _Result:
    """The result of an episode; `best` is None where no trial has a value."""

    view: View
    value: float | None
    ran: Sequence[Trial]
    best: Trial | None

    @property
    def gain(self) -> float | None:
        """By how much the best trial is better than the one that the episode was built on."""
        if self.best is None or self.best.value is None or self.value is None:
            return None
        return self.view.objective.gain(self.value, self.best.value)

    @property
    def evidence(self) -> str:
        """The measured values, in one line."""
        failed = sum(trial.value is None for trial in self.ran)
        told = f"{len(self.ran)} experiments, {failed} of them failed"
        if self.best is None or self.value is None:
            return f"{told}."
        return (
            f"{told}; {self.view.objective.metric} {self.value:.6g} at the start, at best "
            f"{self.best.value:.6g} ({moves(self.view, self.best)})."
        )


def topic(view: View) -> str:
    """Return the search's topic as a query: its parameters, and recent changes with their
    reasons."""
    names = " ".join(parameter.name for parameter in view.space.active)
    recent = view.trace[-10:]
    return " ".join([names, *(f"{t.proposal.hypothesis} {moves(view, t)}" for t in recent)])


def moves(view: View, trial: Trial) -> str:
    return changed(trial, None if trial.parent is None else view.trace[trial.parent])
