"""Tabu list over moves that were discarded lately. Needs nothing but the words."""

from collections.abc import Sequence
from typing import ClassVar

from bilevel.errors import ConfigError
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal, Trial
from bilevel.view import View


class Tabu(Mechanism):
    """Drops candidates whose every move failed within the last `tenure` trials.

    Glover, "Tabu Search - Part I", ORSA Journal on Computing 1(3), 1989.
    """

    name: ClassVar[str] = "tabu"

    def __init__(self, tenure: int = 8) -> None:
        if type(tenure) is not int or tenure < 0:
            raise ConfigError(f"tabu: tenure={tenure!r}: expected a whole number of at least 0")
        self.tenure = tenure
        self._until: dict[tuple[str, str], int] = {}

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return [self._judged(view, candidate) for candidate in candidates]

    def observe(self, view: View, trial: Trial) -> None:
        for move in trial.moves:
            if trial.kept:
                self._until.pop(move, None)
            else:
                self._until[move] = trial.number + self.tenure

    def _judged(self, view: View, candidate: Proposal) -> Proposal:
        names = [name for name in candidate.changes if name in view.space]
        if candidate.problem or not names or len(names) < len(candidate.changes):
            return candidate
        after = {**view.base, **view.space.check(candidate.changes)}
        moves = view.space.moves(view.base, after)
        banned = sorted(move for move in moves if self._until.get(move, -1) >= view.trial)
        if not moves or len(banned) < len(moves):
            return candidate
        listed = ", ".join(f"{name} {direction}" for name, direction in banned)
        return candidate.reject(f"tabu: {listed} did not help in the last {self.tenure} trials")
