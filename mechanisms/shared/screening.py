"""Screening experiments: orthogonal arrays, and which of their effects are more than noise.

Plackett and Burman, Biometrika 33, 1946; Lenth, Technometrics 31(4), 1989.
"""

import math
from collections.abc import Mapping, Sequence
from random import Random
from statistics import fmean, median

from scipy.linalg import hadamard

from bilevel.parameters import Choice, Parameter, Tuple, Value
from bilevel.space import Config
from bilevel.toolkit import DOWN, UP, step

_CYCLIC = {12: "++-+++---+-", 20: "++--++++-+-+----++-"}  # Plackett and Burman's first rows
SIZES = (4, 8, 12, 16, 20, 32, 64, 128)


def array(runs: int) -> list[list[int]]:
    """Return an orthogonal array of two levels: `runs` rows of `runs - 1` signs."""
    if runs in _CYCLIC:
        first = [1 if sign == "+" else -1 for sign in _CYCLIC[runs]]
        turned = [first[-turn:] + first[:-turn] for turn in range(runs - 1)]
        return [*turned, [-1] * (runs - 1)]
    return [[int(sign) for sign in row[1:]] for row in hadamard(runs)]


def standing_out(effects: Mapping[str, float]) -> list[str]:
    """Return the effects beyond twice Lenth's pseudo standard error, largest first."""
    sizes = {name: abs(effect) for name, effect in effects.items()}
    if not sizes:
        return []
    first = 1.5 * median(sizes.values())
    trimmed = [size for size in sizes.values() if size <= 2.5 * first]
    error = 1.5 * median(trimmed) if trimmed else math.inf
    strong = [name for name in sizes if sizes[name] > 2 * error]
    return sorted(strong, key=lambda name: (-sizes[name], name))


def two_levels(
    parameter: Parameter, base: Value, size: float, rng: Random
) -> tuple[Value, Value] | None:
    """Return a step below and a step above the base, or the base and another choice; None where
    the parameter has only one value."""
    if isinstance(parameter, Choice):
        others = [choice for choice in parameter.choices if choice != base]
        return (base, rng.choice(others)) if others else None
    places = range(len(parameter.low)) if isinstance(parameter, Tuple) else (None,)
    ends: list[Value] = []
    for way in (DOWN, UP):
        value = base
        for place in places:
            moved = step(parameter, value, way if place is None else f"{place} {way}", size)
            value = value if moved is None else moved
        ends.append(value)
    return (ends[0], ends[1]) if ends[0] != ends[1] else None


def main_effects(
    runs: Sequence[tuple[Config, float | None]], levels: Mapping[str, tuple[Value, Value]]
) -> dict[str, float]:
    """Return each parameter's mean loss at the second level minus that at the first; a run
    without a loss failed, and counts as worse than the worst by the range of the others."""
    valued = [value for _, value in runs if value is not None]
    if not valued:
        return {}
    failed = max(valued) + (max(valued) - min(valued))
    losses = [(row, failed if value is None else value) for row, value in runs]
    effects: dict[str, float] = {}
    for name, (low, high) in levels.items():
        at_low = [value for row, value in losses if row[name] == low]
        at_high = [value for row, value in losses if row[name] == high]
        if at_low and at_high:
            effects[name] = fmean(at_high) - fmean(at_low)
    return effects
