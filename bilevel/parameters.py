"""The kinds of parameter: what each accepts, how it is coerced, sampled and compared."""

import json
import math
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from bilevel.errors import SpaceError

Value = int | float | str | tuple[Any, ...]


_UP_DOWN = ("up", "down")
FEW = 32  # values that are listed


class Parameter(Protocol):
    """One dimension of a space; every kind is a frozen record with these members."""

    @property
    def name(self) -> str: ...
    @property
    def baseline(self) -> Value: ...
    @property
    def range(self) -> str:
        """The legal values in words, as errors and prompts print them."""

    def coerce(self, value: object) -> Value:
        """`value` in the parameter's own type. Raises SpaceError if it is not legal."""

    def sample(self, rng: Random) -> Value: ...
    def direction(self, before: Value, after: Value) -> str:
        """Which way a change goes, in the words a move is counted by ('up', 'down', 'to X')."""

    @property
    def directions(self) -> tuple[str, ...]:
        """Every way that a change can go."""

    def ways(self, before: Value, after: Value) -> tuple[str, ...]:
        """Every way that a change goes: of a tuple, one for each place that differs."""

    def ways_from(self, value: Value) -> tuple[str, ...]:
        """The directions in which there is another value."""

    @property
    def listed(self) -> tuple[Value, ...]:
        """All legal values, where they are few."""


def _refuse(name: str, value: object, expected: str) -> SpaceError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return SpaceError(f"{name}={shown} is not legal: expected {expected}")


def _number(name: str, value: object, expected: str) -> float:
    """A finite number from a JSON number or a plain numeral; expressions are never evaluated."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _refuse(name, value, expected) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(name, value, expected)
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise _refuse(name, value, expected)
    return value


def _check_ends(name: str, low: object, high: object) -> None:
    """Raises SpaceError for a range that holds nothing."""
    for end, value in (("low", low), ("high", high)):
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain or not math.isfinite(value):  # type: ignore[arg-type]
            raise SpaceError(f"{name}: {end}={value!r} is no number")
    if low > high:  # type: ignore[operator]
        raise SpaceError(f"{name}: low={low} is above high={high}")


def _numeric_direction(before: float, after: float) -> str:
    if after == before:
        return "same"
    return "up" if after > before else "down"


def _ways_between(low: float, high: float, value: float) -> tuple[str, ...]:
    there = zip(_UP_DOWN, (value < high, value > low), strict=True)
    return tuple(way for way, open_ in there if open_)


class _OneWay:
    """A kind whose changes go one way each."""

    @property
    def listed(self) -> tuple[Value, ...]:
        return ()

    def ways(self, before: Any, after: Any) -> tuple[str, ...]:
        return () if before == after else (self.direction(before, after),)  # type: ignore[attr-defined]

    def ways_from(self, value: Any) -> tuple[str, ...]:
        return tuple(self.directions)  # type: ignore[attr-defined]


class _Numeric(_OneWay):
    low: float
    high: float
    directions = _UP_DOWN

    def direction(self, before: Any, after: Any) -> str:
        return _numeric_direction(before, after)

    def ways_from(self, value: Any) -> tuple[str, ...]:
        return _ways_between(self.low, self.high, value)


@dataclass(frozen=True)
class Float(_Numeric):
    """A real number in [low, high], sampled uniformly or, with `log`, log-uniformly."""

    name: str
    low: float
    high: float
    baseline: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self.name, self.low, self.high)
        if self.log and self.low <= 0:
            raise SpaceError(
                f"{self.name}: low={self.low:g} with log: true, and a log scale never reaches "
                f"{self.low:g}; give the smallest value above 0 that is worth a trial, as in "
                "low: 1.0e-6, or leave log out"
            )

    @property
    def range(self) -> str:
        return f"a number in [{self.low:g}, {self.high:g}]" + (" (log scale)" if self.log else "")

    def coerce(self, value: object) -> float:
        number = float(_number(self.name, value, self.range))
        if not self.low <= number <= self.high:
            raise _refuse(self.name, value, self.range)
        return number

    def sample(self, rng: Random) -> float:
        if self.log:
            drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = rng.uniform(self.low, self.high)
        return min(max(float(f"{drawn:.6g}"), self.low), self.high)


@dataclass(frozen=True)
class Int(_Numeric):
    """A whole number in [low, high]."""

    name: str
    low: int
    high: int
    baseline: int

    def __post_init__(self) -> None:
        _check_ends(self.name, self.low, self.high)

    @property
    def range(self) -> str:
        return f"a whole number in [{self.low}, {self.high}]"

    def coerce(self, value: object) -> int:
        number = _number(self.name, value, self.range)
        if number != int(number) or not self.low <= number <= self.high:
            raise _refuse(self.name, value, self.range)
        return int(number)

    def sample(self, rng: Random) -> int:
        return rng.randint(self.low, self.high)

    @property
    def listed(self) -> tuple[int, ...]:
        every = range(self.low, self.high + 1)
        return tuple(every) if len(every) <= FEW else ()


@dataclass(frozen=True)
class PowerOfTwo(_Numeric):
    """A power of two in [low, high]; both ends are powers of two."""

    name: str
    low: int
    high: int
    baseline: int

    def __post_init__(self) -> None:
        for end, value in (("low", self.low), ("high", self.high)):
            if type(value) is not int or value < 1 or value & (value - 1):
                raise SpaceError(f"{self.name}: {end}={value!r} is no power of two, as 1 or 64 is")
        _check_ends(self.name, self.low, self.high)

    @property
    def range(self) -> str:
        return f"a power of two in [{self.low}, {self.high}]"

    def coerce(self, value: object) -> int:
        number = _number(self.name, value, self.range)
        whole = int(number)
        if number != whole or not self.low <= whole <= self.high or whole & (whole - 1):
            raise _refuse(self.name, value, self.range)
        return whole

    def sample(self, rng: Random) -> int:
        return 1 << rng.randint(self.low.bit_length() - 1, self.high.bit_length() - 1)

    @property
    def listed(self) -> tuple[int, ...]:
        ends = self.low.bit_length() - 1, self.high.bit_length()
        return tuple(1 << power for power in range(*ends))


@dataclass(frozen=True)
class Choice(_OneWay):
    """One of a few values."""

    name: str
    choices: tuple[Value, ...]
    baseline: Value

    @property
    def range(self) -> str:
        return "one of " + ", ".join(map(json.dumps, self.choices))

    def coerce(self, value: object) -> Value:
        for choice in self.choices:
            if type(value) is type(choice) and value == choice:
                return choice
        raise _refuse(self.name, value, self.range)

    def sample(self, rng: Random) -> Value:
        return rng.choice(self.choices)

    def direction(self, before: Value, after: Value) -> str:
        return "same" if before == after else f"to {after}"

    @property
    def directions(self) -> tuple[str, ...]:
        return tuple(f"to {choice}" for choice in self.choices)

    def ways_from(self, value: Value) -> tuple[str, ...]:
        return tuple(f"to {choice}" for choice in self.choices if choice != value)

    @property
    def listed(self) -> tuple[Value, ...]:
        return self.choices


@dataclass(frozen=True)
class Tuple(_OneWay):
    """A fixed number of real numbers, each in [low, high] of its place."""

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    baseline: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high):
            raise SpaceError(f"{self.name}: low={self.low} and high={self.high} are not as long")
        for low, high in zip(self.low, self.high, strict=True):
            _check_ends(self.name, low, high)

    @property
    def range(self) -> str:
        parts = ", ".join(f"[{a:g}, {b:g}]" for a, b in zip(self.low, self.high, strict=True))
        return f"a list of {len(self.low)} numbers in {parts}"

    def coerce(self, value: object) -> tuple[float, ...]:
        if not isinstance(value, list | tuple) or len(value) != len(self.low):
            raise _refuse(self.name, value, self.range)
        numbers = tuple(float(_number(self.name, part, self.range)) for part in value)
        if not all(a <= x <= b for a, x, b in zip(self.low, numbers, self.high, strict=True)):
            raise _refuse(self.name, value, self.range)
        return numbers

    def sample(self, rng: Random) -> tuple[float, ...]:
        pairs = zip(self.low, self.high, strict=True)
        return tuple(min(max(float(f"{rng.uniform(a, b):.6g}"), a), b) for a, b in pairs)

    def direction(self, before: Any, after: Any) -> str:
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            if old != new:
                return f"{place} {_numeric_direction(old, new)}"
        return "same"

    @property
    def directions(self) -> tuple[str, ...]:
        return tuple(f"{place} {way}" for place in range(len(self.low)) for way in _UP_DOWN)

    def ways(self, before: Any, after: Any) -> tuple[str, ...]:
        pairs = enumerate(zip(before, after, strict=True))
        return tuple(f"{at} {_numeric_direction(a, b)}" for at, (a, b) in pairs if a != b)

    def ways_from(self, value: Any) -> tuple[str, ...]:
        places = enumerate(zip(self.low, self.high, value, strict=True))
        return tuple(f"{at} {way}" for at, place in places for way in _ways_between(*place))


@dataclass(frozen=True)
class Subset(_OneWay):
    """Some of a fixed set of names, at least `spare` of which stay out."""

    name: str
    members: tuple[str, ...]
    baseline: tuple[str, ...] = ()
    spare: int = 0

    @property
    def range(self) -> str:
        most = max(0, len(self.members) - self.spare)
        return f"at most {most} of {', '.join(self.members)}"

    def coerce(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or any(v not in self.members for v in value):
            raise _refuse(self.name, value, self.range)
        if len(set(value)) > max(0, len(self.members) - self.spare):
            raise _refuse(self.name, value, self.range)
        return tuple(member for member in self.members if member in value)

    def sample(self, rng: Random) -> tuple[str, ...]:
        count = rng.randint(0, max(0, len(self.members) - self.spare))
        drawn = rng.sample(self.members, count)
        return tuple(member for member in self.members if member in drawn)

    def direction(self, before: Any, after: Any) -> str:
        return _numeric_direction(len(before), len(after))

    @property
    def directions(self) -> tuple[str, ...]:
        return _UP_DOWN


@dataclass(frozen=True)
class Text(_OneWay):
    """Free text, cut nowhere: longer than `max_chars` is refused."""

    name: str
    max_chars: int
    baseline: str = ""

    @property
    def range(self) -> str:
        return f"text of at most {self.max_chars} characters"

    def coerce(self, value: object) -> str:
        if not isinstance(value, str) or len(value) > self.max_chars:
            raise _refuse(self.name, value, self.range)
        return value

    def sample(self, rng: Random) -> str:
        return self.baseline

    def direction(self, before: Value, after: Value) -> str:
        return "same" if before == after else "changed"

    @property
    def directions(self) -> tuple[str, ...]:
        return ("changed",)
