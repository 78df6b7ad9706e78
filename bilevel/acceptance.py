"""Policies that decide, once a round, whether its best trial becomes the incumbent."""

from typing import Protocol

from bilevel.trace import Trial
from bilevel.view import View


class Acceptance(Protocol):
    def accept(self, view: View, trial: Trial) -> bool:
        """`trial` has a value; `view.incumbent` is what it would replace."""


class Greedy:
    """Keep what is better than the incumbent, as autoresearch does."""

    def accept(self, view: View, trial: Trial) -> bool:
        if trial.value is None:
            return False
        incumbent = view.incumbent
        if incumbent is None or incumbent.value is None:
            return True
        return view.objective.better(trial.value, than=incumbent.value)


class Always:
    """Keep whatever is valid, as the paper does above level 1."""

    def accept(self, view: View, trial: Trial) -> bool:
        return trial.value is not None
