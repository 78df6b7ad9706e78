"""Ranks by pairwise comparison: Elo ratings from rounds in which near equals meet."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

START = 1500.0
K = 32.0
T = TypeVar("T")


def expected(rating: float, other: float) -> float:
    """Return the probability that the first wins, by Elo ratings."""
    return 1.0 / (1.0 + math.pow(10.0, (other - rating) / 400.0))


def rounds(count: int) -> int:
    """Return how many rounds rank `count` entrants."""
    return math.ceil(math.log2(count)) if count > 1 else 0


def pairs(order: Sequence[int], met: set[frozenset[int]]) -> list[tuple[int, int]]:
    """Pair neighbours from the top that have not met; one without an opponent sits out."""
    left, made = list(order), []
    while left:
        first = left.pop(0)
        rival = next((other for other in left if frozenset((first, other)) not in met), None)
        if rival is not None:
            left.remove(rival)
            made.append((first, rival))
    return made


def ranked(field: Sequence[T], first_wins: Callable[[T, T], bool | None]) -> list[tuple[T, float]]:
    """Return each entrant with its rating, best first; equals stay in order. `first_wins` may
    return None, which changes no rating."""
    ratings = [START] * len(field)
    met: set[frozenset[int]] = set()
    for _ in range(rounds(len(field))):
        for a, b in pairs(_order(ratings), met):
            met.add(frozenset((a, b)))
            won = first_wins(field[a], field[b])
            if won is not None:
                gain = K * (float(won) - expected(ratings[a], ratings[b]))
                ratings[a] += gain
                ratings[b] -= gain
    return [(field[place], ratings[place]) for place in _order(ratings)]


def _order(ratings: Sequence[float]) -> list[int]:
    return sorted(range(len(ratings)), key=lambda place: -ratings[place])
