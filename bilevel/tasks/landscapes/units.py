"""Configurations as coordinates: numbers in [0, 1], choices as the position of their option."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Tuple, Value

Encoder = Callable[[Any], tuple[float, ...]]
_DIGITS = 3  # significant ones of a float that is drawn


def encoder(parameter: Parameter) -> Encoder:
    """What makes a legal value its coordinates, one for each place of a tuple."""
    match parameter:
        case Float(low=low, high=high, log=True):
            start, length = math.log(low), math.log(high / low)
            return lambda value: ((math.log(value) - start) / length,)
        case Float(low=low, high=high) | Int(low=low, high=high):
            return lambda value: ((value - low) / (high - low),)
        case PowerOfTwo(low=low, high=high):
            first, steps = low.bit_length(), high.bit_length() - low.bit_length()
            return lambda value: ((value.bit_length() - first) / steps,)
        case Choice(choices=choices):
            known = {choice: (float(place),) for place, choice in enumerate(choices)}
            return known.__getitem__
        case Tuple(low=lows, high=highs):
            ends = tuple(zip(lows, highs, strict=True))
            return lambda value: tuple(
                (x - low) / (high - low) for x, (low, high) in zip(value, ends, strict=True)
            )
    raise TypeError(f"{parameter.name} is a {type(parameter).__name__}, which has no coordinates")


def width(parameter: Parameter) -> int:
    """How many coordinates a value has."""
    return len(parameter.low) if isinstance(parameter, Tuple) else 1


def legal(parameter: Parameter, units: Sequence[float]) -> Value:
    """The legal value at these coordinates or next to them; floats have few digits."""
    unit = units[0]
    match parameter:
        case Float(low=low, high=high, log=True):
            return _rounded(low * (high / low) ** unit, low, high)
        case Float(low=low, high=high):
            return _rounded(low + unit * (high - low), low, high)
        case Int(low=low, high=high):
            return low + round(unit * (high - low))
        case PowerOfTwo(low=low, high=high):
            return low << round(unit * (high.bit_length() - low.bit_length()))
        case Choice(choices=choices):
            return choices[int(unit)]
        case Tuple(low=lows, high=highs):
            places = zip(units, lows, highs, strict=True)
            return tuple(_rounded(low + u * (high - low), low, high) for u, low, high in places)
    raise TypeError(f"{parameter.name} is a {type(parameter).__name__}, which has no coordinates")


def _rounded(value: float, low: float, high: float) -> float:
    return min(max(float(f"{value:.{_DIGITS}g}"), low), high)
