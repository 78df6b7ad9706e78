"""What parameters do to the value of a landscape: effects, each 0 at its best point and above 0
elsewhere, so that a sum of them is lowest where all of them are; and the regions that crash.

All work on a landscape's coordinates (units.py), of which they read the ones at `axis` or `axes`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bilevel.trace import FailureKind

_Point = Sequence[float]


class Effect(Protocol):
    """A part of the value, at least 0."""

    def __call__(self, at: _Point) -> float: ...


@dataclass(frozen=True)
class Bowl:
    """Curved: a square up to `reach` from the best point, where it is 1, and linear beyond."""

    axis: int
    best: float
    reach: float

    def __call__(self, at: _Point) -> float:
        return _eased((at[self.axis] - self.best) / self.reach)


@dataclass(frozen=True)
class Monotone:
    """A power of the distance to the best point, which is an end of the range."""

    axis: int
    best: float
    reach: float
    power: float

    def __call__(self, at: _Point) -> float:
        return float((abs(at[self.axis] - self.best) / self.reach) ** self.power)


@dataclass(frozen=True)
class Plateau:
    """1 nearly everywhere, with a basin of this `radius`: nothing outside shows the way."""

    axis: int
    best: float
    radius: float

    def __call__(self, at: _Point) -> float:
        return 1.0 - math.exp(-(((at[self.axis] - self.best) / self.radius) ** 2))


@dataclass(frozen=True)
class Multimodal:
    """A bowl with so many `waves` a range, of this height."""

    axis: int
    best: float
    reach: float
    waves: float
    height: float

    def __call__(self, at: _Point) -> float:
        away = at[self.axis] - self.best
        wave = math.sin(math.pi * self.waves * away) ** 2
        return _eased(away / self.reach) + self.height * wave


@dataclass(frozen=True)
class Lure:
    """A bowl, and a second, narrower basin that lies elsewhere and is `depth` high at its best."""

    axis: int
    best: float
    reach: float
    lure: float
    depth: float

    def __call__(self, at: _Point) -> float:
        there = at[self.axis]
        far = self.depth + 2.0 * _eased((there - self.lure) / (0.5 * self.reach))
        return min(_eased((there - self.best) / self.reach), far)


@dataclass(frozen=True)
class Options:
    """What each option of a choice costs; the best one nothing."""

    axis: int
    costs: tuple[float, ...]

    def __call__(self, at: _Point) -> float:
        return self.costs[int(at[self.axis])]


@dataclass(frozen=True)
class Ridge:
    """A bent valley along the first axis: the others have to follow at `slopes` and `bends`, and
    `width` from the valley costs `wall`."""

    axes: tuple[int, ...]
    best: tuple[float, ...]
    reach: float
    slopes: tuple[float, ...]
    bends: tuple[float, ...]
    width: float
    wall: float

    def __call__(self, at: _Point) -> float:
        along = at[self.axes[0]] - self.best[0]
        total = _eased(along / self.reach)
        followers = zip(self.axes[1:], self.best[1:], self.slopes, self.bends, strict=True)
        for axis, best, slope, bend in followers:
            off = at[axis] - best - slope * along - bend * along * along
            total += self.wall * _eased(off / self.width)
        return total


@dataclass(frozen=True)
class Together:
    """1 unless all axes come within `reaches` of the best point; one alone costs `alone` more."""

    axes: tuple[int, ...]
    best: tuple[float, ...]
    reaches: tuple[float, ...]
    alone: float

    def __call__(self, at: _Point) -> float:
        least, most, product = 1.0, 0.0, 1.0
        for axis, best, reach in zip(self.axes, self.best, self.reaches, strict=True):
            near = max(0.0, 1.0 - abs(at[axis] - best) / reach)
            least, most, product = min(least, near), max(most, near), product * near
        return 1.0 - product + self.alone * (most - least)


@dataclass(frozen=True)
class Conditional:
    """A bowl in one axis whose place and height depend on the option of a choice."""

    choice: int
    axis: int
    centres: tuple[float, ...]
    heights: tuple[float, ...]
    reach: float

    def __call__(self, at: _Point) -> float:
        option = int(at[self.choice])
        return self.heights[option] + _eased((at[self.axis] - self.centres[option]) / self.reach)


@dataclass(frozen=True)
class Pit:
    """A sum of weighted effects, but for a basin of its own around `centre`, which is `depth` high
    at its best: a local optimum that hides where the effects lead."""

    parts: tuple[tuple[float, Effect], ...]
    axes: tuple[int, ...]
    centre: tuple[float, ...]
    depth: float
    steepness: float

    def __call__(self, at: _Point) -> float:
        whole = sum(weight * effect(at) for weight, effect in self.parts)
        pairs = zip(self.axes, self.centre, strict=True)
        away = sum((at[axis] - centre) ** 2 for axis, centre in pairs)
        return min(whole, self.depth + self.steepness * away)


@dataclass(frozen=True)
class Cliff:
    """A region that crashes: where `sign` times the sum over `axes` is above `edge`."""

    axes: tuple[int, ...]
    sign: int
    edge: float
    kind: FailureKind

    def __call__(self, at: _Point) -> bool:
        return self.sign * sum(at[axis] for axis in self.axes) > self.edge


def _eased(distance: float) -> float:
    """A square up to 1, and linear beyond."""
    size = abs(distance)
    return size * size if size < 1.0 else 2.0 * size - 1.0
