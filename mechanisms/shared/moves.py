"""Steps in a search space: where a value lies in its range, and what lies a step away from it."""

import math
from collections.abc import Iterator

from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Tuple, Value
from bilevel.space import Config
from bilevel.view import View

UP, DOWN = "up", "down"
_MOVABLE = (Float, Int, PowerOfTwo, Choice, Tuple)


def open_parameters(view: View) -> tuple[Parameter, ...]:
    """Return the parameters that may be moved: not locked, not frozen by a level above, of a
    kind with steps."""
    frozen = view.settings.get("frozen", ())
    held = frozen if isinstance(frozen, tuple) else ()
    return tuple(p for p in view.space.active if p.name not in held and isinstance(p, _MOVABLE))


def ways(parameter: Parameter) -> tuple[str, ...]:
    """Return the directions that a move of the parameter can have, in the words of a trial's
    moves."""
    return parameter.directions if isinstance(parameter, _MOVABLE) else ()


def step(parameter: Parameter, value: Value, way: str, size: float) -> Value | None:
    """Return the value one step of `size` (a share of its range) in this direction, clipped to
    the bound; None where there is none."""
    made: Value
    if isinstance(parameter, Choice):
        found = [choice for choice in parameter.choices if f"to {choice}" == way]
        return found[0] if found and found[0] != value else None
    if isinstance(parameter, Tuple) and isinstance(value, tuple):
        place, _, sign = way.partition(" ")
        at = int(place)
        part = _moved(parameter.low[at], parameter.high[at], value[at], _sign(sign) * size)
        made = (*value[:at], part, *value[at + 1 :])
    elif isinstance(parameter, Float) and isinstance(value, int | float):
        made = _moved(parameter.low, parameter.high, value, _sign(way) * size, log=parameter.log)
    elif isinstance(parameter, Int) and isinstance(value, int):
        by = _sign(way) * max(1, round(size * (parameter.high - parameter.low)))
        made = min(max(value + by, parameter.low), parameter.high)
    elif isinstance(parameter, PowerOfTwo) and isinstance(value, int):
        octaves = math.log2(parameter.high / parameter.low)
        moved = value * 2.0 ** (_sign(way) * max(1, round(size * octaves)))
        made = int(min(max(moved, parameter.low), parameter.high))
    else:
        return None
    return None if made == value else made


def unit(parameter: Parameter, value: Value) -> tuple[float, ...]:
    """Return a value's coordinates in [0, 1]: one for a number, one for each place, one for each
    choice."""
    if isinstance(parameter, Choice):
        return tuple(float(choice == value) for choice in parameter.choices)
    if isinstance(parameter, Tuple) and isinstance(value, tuple):
        spans = zip(parameter.low, parameter.high, value, strict=True)
        return tuple(_place(low, high, part) for low, high, part in spans)
    if isinstance(parameter, Float | Int | PowerOfTwo) and isinstance(value, int | float):
        log = isinstance(parameter, PowerOfTwo) or (isinstance(parameter, Float) and parameter.log)
        return (_place(parameter.low, parameter.high, value, log=log),)
    return ()


def distance(parameter: Parameter, one: Value, other: Value) -> float:
    """Return the largest difference of two values in any coordinate: 0 for equal, 1 for opposite
    ends."""
    pairs = zip(unit(parameter, one), unit(parameter, other), strict=True)
    return max((abs(a - b) for a, b in pairs), default=0.0)


def steps(view: View, size: float) -> Iterator[tuple[tuple[str, str], Value]]:
    """Yields every (parameter, direction) with a step from the base, and the value it leads to."""
    for parameter in open_parameters(view):
        for way in ways(parameter):
            value = step(parameter, view.base[parameter.name], way, size)
            if value is not None:
                yield (parameter.name, way), value


def differing(view: View, config: Config) -> dict[str, Value]:
    """Return the changes that make the base's open parameters equal to `config`'s."""
    names = [parameter.name for parameter in open_parameters(view)]
    return {name: config[name] for name in names if config[name] != view.base[name]}


def _sign(way: str) -> int:
    return 1 if way == UP else -1


def _moved(low: float, high: float, value: float, by: float, *, log: bool = False) -> float:
    made = value * (high / low) ** by if log else value + by * (high - low)
    return min(max(float(f"{made:.6g}"), low), high)


def _place(low: float, high: float, value: float, *, log: bool = False) -> float:
    if high <= low:
        return 0.0
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
