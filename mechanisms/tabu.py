"""Tabu list: a move that was discarded lately may not be tried again yet."""

from collections.abc import Sequence
from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.trials import landing, whole
from bilevel.trace import Proposal, Trial
from bilevel.view import View

_BLAMED = 3  # moves in one trial


class Tabu(Mechanism):
    """Drops candidates whose every move failed within the last `tenure` trials.

    A trial of more than three moves says too little of any one of them to forbid it.

    Glover, "Tabu Search - Part I", ORSA Journal on Computing 1(3), 1989.
    """

    name: ClassVar[str] = "tabu"

    def __init__(self, tenure: int = 8) -> None:
        self.tenure = whole(self.name, "tenure", tenure, 0)
        self._until: dict[tuple[str, str], int] = {}

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return [self._judged(view, candidate) for candidate in candidates]

    def observe(self, view: View, trial: Trial) -> None:
        for move in trial.moves if len(trial.moves) <= _BLAMED else ():
            if trial.kept:
                self._until.pop(move, None)
            else:
                self._until[move] = trial.number + self.tenure

    def _judged(self, view: View, candidate: Proposal) -> Proposal:
        after = landing(view, candidate)
        if after is None:
            return candidate
        moves = view.space.moves(view.base, after)
        banned = sorted(move for move in moves if self._until.get(move, -1) >= view.trial)
        if not moves or len(banned) < len(moves):
            return candidate
        listed = ", ".join(f"{name} {direction}" for name, direction in banned)
        return candidate.reject(f"tabu: {listed} did not help in the last {self.tenure} trials")
