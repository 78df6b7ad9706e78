"""Diversification: a search that is stuck is set down somewhere else."""

from collections.abc import Sequence
from itertools import takewhile
from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.moves import steps
from bilevel.mechanisms.shared.trials import tried_moves, whole
from bilevel.toolkit import mine_first, open_parameters
from bilevel.trace import Proposal, elites
from bilevel.view import View

_FAR = 1 / 2  # of a parameter's whole range


class Diversification(Mechanism):
    """After every `patience` trials in a row without a keep, one trial far away.

    It takes turns: a far step in a direction never tried from the incumbent, then such a step
    from the next of the `pool` best trials. Once every direction was tried, two parameters are
    drawn anew.

    Perturbation of iterated local search: Lourenço, Martin and Stützle, Handbook of
    Metaheuristics, 2003; directions by how rarely they were gone: Glover's long-term memory in
    "Tabu Search - Part II", ORSA Journal on Computing 2(1), 1990.
    """

    name: ClassVar[str] = "diversification"

    def __init__(self, patience: int = 5, pool: int = 4) -> None:
        self.patience = whole(self.name, "patience", patience, 1)
        self.pool = whole(self.name, "pool", pool, 1)

    def parent(self, view: View) -> int | None:
        turn = self._turn(view)
        if turn is None or turn % 2:
            return None
        best = elites(view.trace, view.objective, self.pool)
        return best[turn // 2 % len(best)].number if best else None

    def propose(self, view: View) -> Sequence[Proposal]:
        turn = self._turn(view)
        if turn is None:
            return ()
        known = tried_moves(view)
        new = [(move, value) for move, value in steps(view, _FAR) if move not in known]
        if new:
            (name, way), value = view.rng.choice(new)
            return [Proposal({name: value}, f"stuck: {name} {way} was never tried")]
        parameters = open_parameters(view)
        drawn = view.rng.sample(parameters, min(2, len(parameters)))
        changes = {parameter.name: parameter.sample(view.rng) for parameter in drawn}
        return [Proposal(changes, "stuck: drawn anew")] if changes else ()

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)

    def _turn(self, view: View) -> int | None:
        """Return how often the patience has run out in this plateau; None where it does not run
        out now."""
        stuck = sum(1 for _ in takewhile(lambda trial: not trial.kept, reversed(view.trace)))
        return stuck // self.patience if stuck and stuck % self.patience == 0 else None
