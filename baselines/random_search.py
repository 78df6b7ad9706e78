"""Random search: the floor that every other proposer has to beat."""

from collections.abc import Sequence

from bilevel.space import SearchSpace
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, View


class RandomSearch:
    """A proposer that draws `changes` of the active parameters anew, uniformly (log-uniformly where
    so declared).

    With `changes=None` all of them, which is random search as Bergstra and Bengio describe it (JMLR
    13, 2012); with a number, a random local search around the incumbent.
    """

    settings: SearchSpace = NO_SETTINGS

    def __init__(self, space: SearchSpace, changes: int | None = None) -> None:
        most = len(space.active)
        if changes is not None and not 1 <= changes <= most:
            raise ValueError(f"changes={changes}: expected 1 to {most}, the active parameters")
        self._changes = changes

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        active = view.space.active
        drawn = active if self._changes is None else view.rng.sample(active, self._changes)
        changes = {parameter.name: parameter.sample(view.rng) for parameter in drawn}
        return [Proposal(changes, hypothesis="drawn at random", origin="random")]
