"""Parameters as classical samplers search them: numbers on a line, and draws from a few choices."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bilevel.errors import ConfigError
from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Tuple, Value
from bilevel.space import Config

BASELINE, MIDDLE = "baseline", "middle"  # where a sampler can start that starts at a point


@dataclass(frozen=True)
class Line:
    """The axis of a number in [low, high], even or, with `log`, logarithmic; `whole` numbers
    only, or the exponents of a `power` of two."""

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    power: bool = False

    def unit(self, place: float) -> float:
        """Return a place as a coordinate in [0, 1]; a whole number owns the half steps around
        it."""
        low, high = self._ends
        at = math.log(place) if self.log else place
        return (at - low) / (high - low) if high > low else 0.5

    def place(self, unit: float) -> float:
        """Return the legal place at a coordinate, which may lie outside [0, 1]."""
        at = self._at(unit)
        return min(max(float(round(at)) if self.whole else at, self.low), self.high)

    def own(self, unit: float) -> float:
        """Return a coordinate in the parameter's own units, whole or not."""
        at = min(max(self._at(unit), self.low), self.high)
        return 2.0**at if self.power else at

    def _at(self, unit: float) -> float:
        low, high = self._ends
        at = low + min(max(unit, 0.0), 1.0) * (high - low)
        return math.exp(at) if self.log else at

    @property
    def _ends(self) -> tuple[float, float]:
        if self.whole:
            return self.low - 0.5, self.high + 0.5
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)


@dataclass(frozen=True)
class Category:
    """The axis of a choice: one of `count`, by position."""

    name: str
    count: int


Axis = Line | Category


def axes(parameter: Parameter) -> tuple[Axis, ...]:
    """Return a parameter's axes: a power of two by its exponent, a tuple as one line per place.
    Raises ConfigError for other kinds."""
    name = parameter.name
    if isinstance(parameter, Float):
        return (Line(name, parameter.low, parameter.high, log=parameter.log),)
    if isinstance(parameter, Int):
        return (Line(name, parameter.low, parameter.high, whole=True),)
    if isinstance(parameter, PowerOfTwo):
        low, high = parameter.low.bit_length() - 1, parameter.high.bit_length() - 1
        return (Line(name, low, high, whole=True, power=True),)
    if isinstance(parameter, Choice):
        return (Category(name, len(parameter.choices)),)
    if isinstance(parameter, Tuple):
        ends = enumerate(zip(parameter.low, parameter.high, strict=True))
        return tuple(Line(f"{name}[{i}]", low, high) for i, (low, high) in ends)
    kind = type(parameter).__name__
    raise ConfigError(
        f"{name} is a {kind}: a classical sampler searches Float, Int, PowerOfTwo, Choice and "
        "Tuple parameters only; lock it, or choose another arm"
    )


def _places(parameter: Parameter, value: Any) -> tuple[float, ...]:
    """Return the positions of a value on its parameter's axes."""
    if isinstance(parameter, PowerOfTwo):
        return (value.bit_length() - 1,)
    if isinstance(parameter, Choice):
        return (parameter.choices.index(value),)
    return value if isinstance(parameter, Tuple) else (value,)


def value_at(parameter: Parameter, at: Sequence[float]) -> Value:
    """Return the value at these positions; real numbers have six digits."""
    if isinstance(parameter, PowerOfTwo):
        return 1 << int(at[0])
    if isinstance(parameter, Choice):
        return parameter.choices[int(at[0])]
    if isinstance(parameter, Int):
        return int(at[0])
    if isinstance(parameter, Tuple):
        ends = zip(at, parameter.low, parameter.high, strict=True)
        return tuple(_rounded(x, low, high) for x, low, high in ends)
    if isinstance(parameter, Float):
        return _rounded(at[0], parameter.low, parameter.high)
    raise TypeError(f"{parameter.name} has no axes")


class Axes:
    """The axes of some parameters, by name; encodes and decodes configurations."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._axes = {parameter: axes(parameter) for parameter in parameters}
        self.all = tuple(axis for own in self._axes.values() for axis in own)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The numeric axes with more than one value."""
        return tuple(a for a in self.all if isinstance(a, Line) and a.low < a.high)

    @property
    def categories(self) -> tuple[Category, ...]:
        """The categorical axes with more than one choice."""
        return tuple(a for a in self.all if isinstance(a, Category) and a.count > 1)

    def encode(self, config: Config) -> dict[str, float]:
        return {
            axis.name: place
            for parameter, own in self._axes.items()
            for axis, place in zip(own, _places(parameter, config[parameter.name]), strict=True)
        }

    def decode(self, at: Mapping[str, float]) -> dict[str, Value]:
        return {
            parameter.name: value_at(parameter, [at[axis.name] for axis in own])
            for parameter, own in self._axes.items()
        }


def _rounded(number: float, low: float, high: float) -> float:
    return min(max(float(f"{number:.6g}"), low), high)
