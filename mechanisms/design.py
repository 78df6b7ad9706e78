"""Design: a screening experiment finds what matters, then the search follows its main effects."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.screening import SIZES, array, main_effects, standing_out, two_levels
from bilevel.mechanisms.shared.trials import loss, share
from bilevel.parameters import Value
from bilevel.space import Config, canonical
from bilevel.toolkit import mine_first, open_parameters, step, tried
from bilevel.trace import Proposal, Trial
from bilevel.view import View

_OFFERS = 3  # of a run that lost its turn to another mechanism, or was dropped by one


class Design(Mechanism):
    """Screens the open parameters in an orthogonal two-level array around where it begins.

    At most `budget` of the trials are spent on it; parameters beyond what an array of that size
    holds are left out, by lot. `size` is the step to either side, a part of the range. A failed
    run counts as worse than the worst. Afterwards: all the effects that stand out together, then
    one after the other, largest first, each for as long as it is kept.

    Plackett and Burman, Biometrika 33, 1946; Taguchi's L8 and L16 are the arrays of those sizes.
    Which effects stand out: Lenth, Technometrics 31(4), 1989.
    """

    name: ClassVar[str] = "design"

    def __init__(self, budget: float = 0.5, size: float = 0.125) -> None:
        self.budget = share(self.name, "budget", budget)
        self.size = share(self.name, "size", size)
        self._rows: list[Config] | None = None
        self._levels: dict[str, tuple[Value, Value]] = {}
        self._offered: Counter[int] = Counter()
        self._confirmed = False

    def propose(self, view: View) -> Sequence[Proposal]:
        if not view.trace:
            return ()
        if self._rows is None:
            self._rows = self._planned(view)
        waiting = [n for n, row in enumerate(self._rows) if self._run(view, row) is None]
        for number in sorted(waiting, key=lambda n: self._offered[n]):
            changes = _changes(view, self._rows[number])
            if changes and self._offered[number] < _OFFERS:
                self._offered[number] += 1
                return [Proposal(changes, f"screening run {number + 1} of {len(self._rows)}")]
        return self._followed(view)

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)

    def _planned(self, view: View) -> list[Config]:
        total = None if view.trials_left is None else view.trials_left + len(view.trace) - 1
        most = SIZES[-1] if total is None else int(self.budget * total)
        factors = {
            p.name: levels
            for p in open_parameters(view)
            if (levels := two_levels(p, view.base[p.name], self.size, view.rng))
        }
        sizes = [size for size in SIZES if size <= most]
        if not sizes or not factors:
            return []
        runs = next((size for size in sizes if size > len(factors)), sizes[-1])
        names = sorted(view.rng.sample(sorted(factors), min(runs - 1, len(factors))))
        self._levels = {name: factors[name] for name in names}
        return [
            {name: self._levels[name][sign > 0] for name, sign in zip(names, row, strict=False)}
            for row in array(runs)
        ]

    def _followed(self, view: View) -> Sequence[Proposal]:
        effects = self._effects(view)
        strong, seen = standing_out(effects), tried(view)
        better = {name: self._levels[name][effects[name] < 0] for name in strong}
        together = _changes(view, {name: better[name] for name in strong})
        confirmed, self._confirmed = self._confirmed, True
        if not confirmed and len(together) > 1:
            return [Proposal(together, f"main effects together: {', '.join(strong)}")]
        mine = [t for t in view.trace if t.proposal.origin == self.name and not t.kept]
        spent = {move for t in mine if len(t.moves) == 1 for move in t.moves}
        open_names = {parameter.name for parameter in open_parameters(view)}
        for name in strong:
            worse = self._levels[name][effects[name] >= 0]
            way = view.space[name].direction(worse, better[name])
            value = step(view.space[name], view.base[name], way, self.size)
            if value is None or (name, way) in spent or name not in open_names:
                continue
            if canonical({**view.base, name: value}) not in seen:
                return [Proposal({name: value}, f"main effect {effects[name]:+.3g} of {name}")]
        return ()

    def _effects(self, view: View) -> dict[str, float]:
        """Return the main effects from the evaluated runs of the design."""
        runs = [(row, self._run(view, row)) for row in self._rows or ()]
        return main_effects([(row, loss(view, t)) for row, t in runs if t], self._levels)

    def _run(self, view: View, row: Config) -> Trial | None:
        mine = (t for t in view.trace if t.proposal.origin == self.name)
        return next((t for t in mine if all(t.config[n] == v for n, v in row.items())), None)


def _changes(view: View, row: Config) -> dict[str, Value]:
    """Return the changes from the base to a run of the design; parameters frozen since stay as
    they are."""
    names = [parameter.name for parameter in open_parameters(view)]
    return {name: row[name] for name in names if name in row and row[name] != view.base[name]}
