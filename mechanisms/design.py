"""Design: a screening experiment finds what matters, then the search follows its main effects."""

import math
from collections.abc import Sequence
from statistics import fmean, median
from typing import ClassVar

from scipy.linalg import hadamard

from bilevel.mechanism import Mechanism
from bilevel.parameters import Choice, Parameter, Tuple, Value
from bilevel.space import Config, canonical
from bilevel.trace import Proposal
from bilevel.view import View
from mechanisms.shared.moves import DOWN, UP, open_parameters, step
from mechanisms.shared.trials import loss, own_first, share, tried

CYCLIC = {12: "++-+++---+-", 20: "++--++++-+-+----++-"}  # Plackett and Burman's first rows
SIZES = (4, 8, 12, 16, 20, 32, 64, 128)


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
        self._next = 0
        self._confirmed = False

    def propose(self, view: View) -> Sequence[Proposal]:
        if not view.trace:
            return ()
        if self._rows is None:
            self._rows = self._planned(view)
        while self._next < len(self._rows):
            row = self._rows[self._next]
            self._next += 1
            changes = _changes(view, row)
            if changes:
                why = f"screening run {self._next} of {len(self._rows)}"
                return [Proposal(changes, why)]
        return self._followed(view)

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return own_first(self.name, candidates)

    def _planned(self, view: View) -> list[Config]:
        total = None if view.trials_left is None else view.trials_left + len(view.trace) - 1
        most = SIZES[-1] if total is None else int(self.budget * total)
        factors = {p.name: levels for p in open_parameters(view) if (levels := self._two(view, p))}
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

    def _two(self, view: View, parameter: Parameter) -> tuple[Value, Value] | None:
        """The two levels of a parameter, or None where it has only one value."""
        base = view.base[parameter.name]
        if isinstance(parameter, Choice):
            others = [choice for choice in parameter.choices if choice != base]
            return (base, view.rng.choice(others)) if others else None
        places = range(len(parameter.low)) if isinstance(parameter, Tuple) else (None,)
        ends: list[Value] = []
        for way in (DOWN, UP):
            value = base
            for place in places:
                towards = way if place is None else f"{place} {way}"
                moved = step(parameter, value, towards, self.size)
                value = value if moved is None else moved
            ends.append(value)
        return (ends[0], ends[1]) if ends[0] != ends[1] else None

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
        """Mean loss at the second level less that at the first, of the runs that were evaluated."""
        found: list[tuple[Config, float | None]] = []
        for row in self._rows or ():
            mine = (t for t in view.trace if t.proposal.origin == self.name)
            run = next((t for t in mine if all(t.config[n] == v for n, v in row.items())), None)
            if run is not None:
                found.append((row, loss(view, run)))
        valued = [value for _, value in found if value is not None]
        if not valued:
            return {}
        failed = max(valued) + (max(valued) - min(valued))
        runs = [(row, failed if value is None else value) for row, value in found]
        effects: dict[str, float] = {}
        for name, (low, high) in self._levels.items():
            at_low = [value for row, value in runs if row[name] == low]
            at_high = [value for row, value in runs if row[name] == high]
            if at_low and at_high:
                effects[name] = fmean(at_high) - fmean(at_low)
        return effects


def array(runs: int) -> list[list[int]]:
    """An orthogonal array of two levels: `runs` rows of `runs - 1` signs."""
    if runs in CYCLIC:
        first = [1 if sign == "+" else -1 for sign in CYCLIC[runs]]
        turned = [first[-turn:] + first[:-turn] for turn in range(runs - 1)]
        return [*turned, [-1] * (runs - 1)]
    return [[int(sign) for sign in row[1:]] for row in hadamard(runs)]


def standing_out(effects: dict[str, float]) -> list[str]:
    """The effects beyond twice Lenth's pseudo standard error, largest first."""
    sizes = {name: abs(effect) for name, effect in effects.items()}
    if not sizes:
        return []
    first = 1.5 * median(sizes.values())
    trimmed = [size for size in sizes.values() if size <= 2.5 * first]
    error = 1.5 * median(trimmed) if trimmed else math.inf
    strong = [name for name in sizes if sizes[name] > 2 * error]
    return sorted(strong, key=lambda name: (-sizes[name], name))


def _changes(view: View, row: Config) -> dict[str, Value]:
    """What differs from the base; a parameter frozen since is left as it is."""
    names = [parameter.name for parameter in open_parameters(view)]
    return {name: row[name] for name in names if name in row and row[name] != view.base[name]}
