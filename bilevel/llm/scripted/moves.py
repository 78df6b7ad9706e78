"""New values for a parameter: a step up or down, or another choice."""

import math
from collections.abc import Collection
from random import Random
from typing import Any

from bilevel.llm.scripted.reading import Knob


def moved(knob: Knob, way: str, rng: Random, spread: float, tried: Collection[str] = ()) -> Any:
    """A legal value that differs from the current one, or None if there is none that way.

    `tried` are values (as printed) that a discrete parameter is not moved to again.
    """
    if knob.kind == "choice":
        left = [c for c in knob.choices if c != knob.value and str(c) not in tried]
        return rng.choice(left) if left else None
    if knob.kind == "list":
        place = rng.randrange(len(knob.value))
        new = _number(knob.value[place], knob.bounds[place], way, rng, spread)
        return None if new is None else [*knob.value[:place], new, *knob.value[place + 1 :]]
    if knob.kind == "power":
        value = int(knob.value) * 2 if way == "up" else int(knob.value) // 2
        legal = knob.bounds[0][0] <= value <= knob.bounds[0][1] and str(value) not in tried
        return value if legal else None
    new = _number(knob.value, knob.bounds[0], way, rng, spread)
    if knob.kind == "float" or new is None:
        return new
    step = max(1, round(abs(new - knob.value)))
    whole = int(knob.value) + (step if way == "up" else -step)
    return whole if knob.bounds[0][0] <= whole <= knob.bounds[0][1] else None


def _number(
    value: float, bounds: tuple[float, float], way: str, rng: Random, spread: float
) -> float | None:
    """A relative step where the value allows one, else a small part of the range."""
    low, high = bounds
    step = rng.uniform(0.2, 0.9) * spread
    if value > 0:
        new = value * (1 + step) if way == "up" else value / (1 + step)
    else:
        new = value + (1 if way == "up" else -1) * step * (high - low) / 8
    new = min(max(_rounded(new), low), high)
    return None if math.isclose(new, value, rel_tol=1e-9) else new


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
