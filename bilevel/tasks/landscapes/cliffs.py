"""Draws the regions of a landscape that crash; neither baseline nor optimum lies in one."""

from collections.abc import Sequence
from random import Random

from bilevel.tasks.landscapes.effects import Cliff
from bilevel.trace import FailureKind

_COUNTS = (0, 0, 1, 1, 2, 2)
_ATTEMPTS = 8
_EDGES = {1: 0.86, 2: 1.5}
"""For so many coordinates, what their sum is above: less than a quarter of the configurations."""
_ROOM = 0.02  # between the edge and what must not crash


def cliffs(
    rng: Random, options: Sequence[int], goal: Sequence[float], origin: Sequence[float]
) -> tuple[Cliff, ...]:
    """None to two, beyond both points on one number or, as memory is, on the sum of two."""
    lines = [axis for axis, count in enumerate(options) if not count]
    found: list[Cliff] = []
    for _ in range(rng.choice(_COUNTS)):
        attempts = (_cliff(rng, lines, goal, origin) for _ in range(_ATTEMPTS))
        found += [one for one in attempts if one is not None][:1]
    return tuple(found)


def _cliff(
    rng: Random, lines: Sequence[int], goal: Sequence[float], origin: Sequence[float]
) -> Cliff | None:
    """One that leaves enough of the range to crash in, if there is room for it."""
    size, sign = rng.choice((1, 1, 2)), rng.choice((-1, 1))
    axes = tuple(rng.sample(lines, size))
    kind = FailureKind.OUT_OF_MEMORY if size == 2 else FailureKind.CRASH
    low_end = size if sign < 0 else 0  # so that the range ends at `size` in either direction
    there = [low_end + sign * sum(at[axis] for axis in axes) for at in (goal, origin)]
    edge = max(_EDGES[size], *(place + _ROOM for place in there)) + rng.uniform(0.0, 0.05)
    return Cliff(axes, sign, edge - low_end, kind) if edge < size - 0.03 else None
