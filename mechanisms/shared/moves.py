"""Steps in a search space: every way that can be gone, and how far apart two values are."""

from collections.abc import Iterator

from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Tuple, Value
from bilevel.toolkit import open_parameters, step, unit
from bilevel.view import View

_MOVABLE = (Float, Int, PowerOfTwo, Choice, Tuple)


def ways(parameter: Parameter) -> tuple[str, ...]:
    """Return the directions that a move of the parameter can have, in the words of a trial's
    moves."""
    return parameter.directions if isinstance(parameter, _MOVABLE) else ()


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
