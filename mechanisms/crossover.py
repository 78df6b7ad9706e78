"""Crossover: what was good in two trials is tried in one."""

from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.trials import whole
from bilevel.space import Config, canonical
from bilevel.toolkit import changes_to, mine_first, open_parameters, tried
from bilevel.trace import Proposal, Trial, elites
from bilevel.view import View


class Crossover(Mechanism):
    """Every `every` trials, builds on one of the best trials and mixes another one into it.

    The best are taken from all trials with a value: in a greedy search a kept trial holds what
    the kept ones before it found, so what is new is in the near-best that were discarded.

    Uniform crossover: Syswerda, "Uniform Crossover in Genetic Algorithms", ICGA 1989.
    """

    name: ClassVar[str] = "crossover"

    def __init__(self, every: int = 4, pool: int = 5) -> None:
        self.every = whole(self.name, "every", every, 1)
        self.pool = whole(self.name, "pool", pool, 2)

    def parent(self, view: View) -> int | None:
        bred = self._bred(view)
        return None if bred is None else bred[0].number

    def propose(self, view: View) -> Sequence[Proposal]:
        bred = self._bred(view)
        if bred is None:
            return ()
        one, other, child = bred
        changes = changes_to(view, child)
        why = f"crossover of trials {one.number} and {other.number}"
        return [Proposal(changes, why)] if changes else ()

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)

    def _bred(self, view: View) -> tuple[Trial, Trial, Config] | None:
        """Return the better parent, the other one and their child: the same at every hook of a
        trial."""
        if view.trial % self.every:
            return None
        rng, seen = view.for_("crossover/pair").rng, tried(view)
        pairs = list(combinations(elites(view.trace, view.objective, self.pool), 2))
        rng.shuffle(pairs)
        names = [parameter.name for parameter in open_parameters(view)]
        for one, other in pairs:
            new = [name for name in names if one.config[name] != other.config[name]]
            if len(new) < 2:
                continue  # a part of one difference is nothing or all of it
            taken = rng.sample(new, rng.randint(1, len(new) - 1))
            child = {**one.config, **{name: other.config[name] for name in taken}}
            if canonical(child) not in seen:
                return one, other, child
        return None
