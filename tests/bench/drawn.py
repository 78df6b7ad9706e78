"""Tuning problems drawn from a seed, none of which any result uses: what settings are chosen on.

Names say nothing. Every problem has numbers of all kinds, on log scales too, most have choices; few
parameters matter much; some pairs only help together; some values crash; noise ranges from none to
a fifth of what there is to gain. Baselines are good, middling, or lie in a basin of their own.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from bilevel.baselines.axes import Axes, Category, Line, axes, value_at
from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Tuple
from bilevel.randomness import keyed
from bilevel.space import Config, SearchSpace, canonical
from bilevel.tasks.base import Task
from bilevel.trace import FailureKind, Objective, Outcome, Proposal, Trial

SPREAD = {"good": 0.12, "middling": 0.3, "trap": 0.5}  # of a baseline around the optimum, in ranges
NOISE = (0.0, 0.01, 0.05, 0.2)  # sd, in what there is to gain
KINDS = {"log": 4, "even": 4, "int": 2, "power": 2, "tuple": 1, "choice": 3}  # how often
Coordinates = Mapping[str, float]


class Drawn(Task):
    """The problem with this number: `exact` is free of noise and lowest at `optimum`."""

    def __init__(self, number: int) -> None:
        rng = keyed(number, "drawn")
        self.name = f"drawn-{number}"
        self.objective = Objective("loss")
        self.kind = tuple(SPREAD)[number % len(SPREAD)]
        kinds = _parameters(rng)
        best = [_somewhere(p, lambda: _optimum(rng)) for p in kinds]
        base = [_near(p, at, rng, self.kind) for p, at in zip(kinds, best, strict=True)]
        self.space = SearchSpace(
            tuple(
                replace(p, baseline=value)  # type: ignore[type-var]
                for p, value in zip(kinds, base, strict=True)
            )
        )
        self.optimum: Config = {p.name: v for p, v in zip(kinds, best, strict=True)}
        self._axes = Axes(self.space.active)
        start, goal = self._units(self.space.baseline), self._units(self.optimum)
        self._shape = _shape(rng, self._axes, start, goal, trap=self.kind == "trap")
        self._cliffs = _cliffs(rng, self._axes, start, goal)
        self._floor = math.exp(rng.uniform(-1.0, 1.0))
        self.gain = math.exp(rng.uniform(math.log(0.02), math.log(0.5)))
        self._steepness = self.gain / max(self._shape(start), 1e-9)
        self.noise_sd = self.gain * rng.choice(NOISE)

    def exact(self, config: Config) -> float:
        return self._floor + self._steepness * self._shape(self._units(config))

    def crashes(self, config: Config) -> bool:
        at = self._units(config)
        return any(cliff(at) for cliff in self._cliffs)

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config = self.configured(parent, proposal)
        if self.crashes(config):
            return Outcome.failed(FailureKind.CRASH, "diverged")
        noise = keyed(seed, canonical(config)).gauss(0.0, self.noise_sd or 0.0)
        return Outcome(self.exact(config) + noise)

    def _units(self, config: Config) -> Coordinates:
        """Numbers as coordinates in [0, 1], choices as their position."""
        at = self._axes.encode(config)
        return {
            a.name: a.unit(at[a.name]) if isinstance(a, Line) else at[a.name]
            for a in self._axes.all
        }


def _parameters(rng: Random) -> list[Parameter]:
    """Four to twelve, of every kind, with a baseline that is put right later."""
    made = [_parameter(f"P{place + 1}", rng) for place in range(rng.randint(4, 12))]
    numbers = sum(not isinstance(parameter, Choice) for parameter in made)
    return made if numbers >= 2 else _parameters(rng)


def _parameter(name: str, rng: Random) -> Parameter:
    low, exponent, least = math.exp(rng.uniform(-7.0, 1.0)), rng.randint(0, 12), rng.randint(0, 3)
    most, (kind,) = least + rng.randint(3, 12), rng.choices(tuple(KINDS), tuple(KINDS.values()))
    made: dict[str, Parameter] = {
        "log": Float(name, low, low * rng.choice((20.0, 100.0, 1000.0)), low, log=True),
        "even": Float(name, 0.0, low, 0.0),
        "int": Int(name, least, most, least),
        "power": PowerOfTwo(name, 2**exponent, 2 ** (exponent + rng.randint(3, 7)), 2**exponent),
        "tuple": Tuple(name, (0.5, 0.8), (0.99, 0.999), (0.5, 0.8)),
        "choice": Choice(name, ("a", "b", "c", "d", "e")[: rng.randint(2, 5)], "a"),
    }
    return made[kind]


def _optimum(rng: Random) -> float:
    """Anywhere; at an end of its range in one case of six."""
    return rng.choice((0.0, 1.0)) if rng.random() < 1 / 6 else rng.uniform(0.05, 0.95)


def _somewhere(parameter: Parameter, drawn: Callable[[], float]) -> Any:
    """The legal value at drawn coordinates."""
    at = []
    for axis in axes(parameter):
        unit = min(max(drawn(), 0.0), 1.0)
        at.append(
            axis.place(unit)
            if isinstance(axis, Line)
            else min(int(unit * axis.count), axis.count - 1)
        )
    return value_at(parameter, at)


def _near(parameter: Parameter, best: Any, rng: Random, kind: str) -> Any:
    """A baseline: so far from the optimum; at an end of the range in one case of eight."""
    if isinstance(parameter, Choice):
        same = rng.random() > 2 * SPREAD[kind]
        return best if same else rng.choice(parameter.choices)
    if rng.random() < 1 / 8:
        return _somewhere(parameter, lambda: 0.0)
    own = axes(parameter)
    from_best = iter(best if isinstance(parameter, Tuple) else (best,))

    def moved() -> float:
        line, value = next(lines), next(from_best)
        place = math.log2(value) if isinstance(parameter, PowerOfTwo) else value
        return line.unit(place) + rng.gauss(0.0, SPREAD[kind])

    lines = iter([line for line in own if isinstance(line, Line)])
    return _somewhere(parameter, moved)


def _shape(
    rng: Random, searched: Axes, start: Coordinates, goal: Coordinates, trap: bool
) -> Callable[[Coordinates], float]:
    """Zero at the goal and above it everywhere else: a sum of single effects, of which few are
    large, and of pairs that have to move together; and, around a trap, a basin of its own."""
    lines = [axis.name for axis in searched.all if isinstance(axis, Line)]
    choices = {axis.name: axis.count for axis in searched.all if isinstance(axis, Category)}
    decay = rng.uniform(0.3, 0.9)
    ranks = rng.sample(range(len(searched.all)), len(searched.all))
    weight = {a.name: math.exp(-decay * r) for a, r in zip(searched.all, ranks, strict=True)}
    effect = {name: rng.choice((_square, _linear, _well)) for name in lines}
    option = {n: [rng.uniform(0.1, 0.5) for _ in range(count)] for n, count in choices.items()}
    pairs = [_pair(rng, lines) for _ in range(rng.randint(0, 2))]
    pit = {name: start[name] + rng.gauss(0.0, 0.05) for name in lines}

    def whole(at: Coordinates) -> float:
        total = sum(weight[n] * effect[n](abs(at[n] - goal[n])) for n in lines)
        total += sum(weight[n] * option[n][int(at[n])] for n in choices if at[n] != goal[n])
        return total + sum(
            by * ((at[a] - goal[a]) - sign * (at[b] - goal[b])) ** 2 for a, b, sign, by in pairs
        )

    depth = rng.uniform(0.5, 0.8) * whole(start)

    def trapped(at: Coordinates) -> float:
        return min(whole(at), depth + 4.0 * sum((at[n] - pit[n]) ** 2 for n in lines))

    return trapped if trap else whole


def _pair(rng: Random, lines: list[str]) -> tuple[str, str, float, float]:
    """Two numbers, whether they rise together, and how much it costs that they do not."""
    one, other = rng.sample(lines, 2)
    return one, other, rng.choice((-1.0, 1.0)), rng.uniform(0.2, 1.5)


def _square(distance: float) -> float:
    return distance**2


def _linear(distance: float) -> float:
    return 0.5 * distance


def _well(distance: float) -> float:
    """Flat far away, so that nothing there shows the way."""
    return 0.5 * (1.0 - math.exp(-((distance / 0.2) ** 2)))


def _cliffs(
    rng: Random, searched: Axes, start: Coordinates, goal: Coordinates
) -> list[Callable[[Coordinates], bool]]:
    """None to two regions that crash, beyond the baseline and the optimum on some line."""
    lines = [axis.name for axis in searched.all if isinstance(axis, Line)]
    return [_cliff(rng, rng.choice(lines), start, goal) for _ in range(rng.randint(0, 2))]


def _cliff(
    rng: Random, name: str, start: Coordinates, goal: Coordinates
) -> Callable[[Coordinates], bool]:
    if rng.random() < 0.5:
        edge = max(start[name], goal[name], 0.55) + rng.uniform(0.02, 0.3)
        return lambda at: at[name] > edge
    edge = min(start[name], goal[name], 0.45) - rng.uniform(0.02, 0.3)
    return lambda at: at[name] < edge
