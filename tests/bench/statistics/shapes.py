"""The distributions that statistics are tried on, and how tables of them are written."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZES = (2, 3, 4, 5, 6, 8, 10, 20)
Draw = Callable[[Any, tuple[int, int]], Any]


@dataclass(frozen=True)
class Shape:
    """How values are drawn, and their true mean."""

    draw: Draw
    mean: float


def optima(share: float) -> Draw:
    """So many searches find another optimum; noise is a twentieth of what lies between the two."""
    return lambda rng, size: (rng.random(size) < share) + rng.normal(0, 0.05, size)


def apart(draw: Draw) -> Shape:
    """Differences of pairs that differ by chance alone."""
    return Shape(lambda rng, size: draw(rng, size) - draw(rng, size), 0.0)


def _exponential(rng: Any, size: tuple[int, int]) -> Any:
    return rng.exponential(size=size)


SHAPES: Mapping[str, Shape] = {
    "normal": Shape(lambda rng, size: rng.normal(size=size), 0.0),
    "skewed (exponential)": Shape(_exponential, 1.0),
    "skewed (lognormal)": Shape(lambda rng, size: rng.lognormal(size=size), float(np.exp(0.5))),
    "two optima, 1 in 4": Shape(optima(0.25), 0.25),
    "two optima, 1 in 2": Shape(optima(0.5), 0.5),
    "pairs, skewed": apart(_exponential),
    "pairs, two optima, 1 in 4": apart(optima(0.25)),
}


def table(title: str, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    heads = list(heads)
    yield from ("", f"**{title}**", "", f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads))
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
