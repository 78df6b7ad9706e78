"""What may be searched: named parameters, which of them may change, and what a change is."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bilevel.errors import SpaceError
from bilevel.frozen import FrozenDict
from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Tuple, Value

Config = Mapping[str, Value]
_MAX_PROBLEMS = 20  # that one error lists
_MAX_NAME_CHARS = 100  # of a name that is no parameter's


@dataclass(frozen=True)
class SearchSpace:
    """Named parameters; `locked` ones keep their baseline and cannot be proposed."""

    parameters: tuple[Parameter, ...]
    locked: tuple[str, ...] = ()
    _by_name: FrozenDict[str, Parameter] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {parameter.name: parameter for parameter in self.parameters}
        if len(by_name) != len(self.parameters):
            raise SpaceError("two parameters share a name")
        unknown = sorted(set(self.locked) - set(by_name))
        if unknown:
            raise SpaceError(f"locked={unknown} names no parameter; valid: {', '.join(by_name)}")
        for parameter in self.parameters:
            if parameter.coerce(parameter.baseline) != parameter.baseline:
                raise SpaceError(f"{parameter.name}: baseline {parameter.baseline!r} is not legal")
        object.__setattr__(self, "_by_name", FrozenDict(by_name))

    def __getitem__(self, name: str) -> Parameter:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @property
    def active(self) -> tuple[Parameter, ...]:
        """The parameters that may be proposed."""
        return tuple(p for p in self.parameters if p.name not in self.locked)

    @property
    def baseline(self) -> dict[str, Value]:
        return {parameter.name: parameter.baseline for parameter in self.parameters}

    def check(self, changes: Mapping[str, object], frozen: Collection[str] = ()) -> Config:
        """The changes, coerced. Raises one SpaceError that lists the problems in them."""
        coerced: dict[str, Value] = {}
        problems: list[str] = []
        for name, value in changes.items():
            if name not in self._by_name:
                valid = ", ".join(p.name for p in self.active if p.name not in frozen)
                shown = name if len(name) <= _MAX_NAME_CHARS else f"{name[:_MAX_NAME_CHARS]}..."
                problems.append(f"{shown} is not a parameter; valid: {valid}")
            elif name in self.locked:
                problems.append(f"{name} is locked and cannot be changed")
            elif name in frozen:
                problems.append(f"{name} is frozen for now; choose an active parameter")
            else:
                try:
                    coerced[name] = self._by_name[name].coerce(value)
                except SpaceError as error:
                    problems.append(str(error))
        if problems:
            more = len(problems) - _MAX_PROBLEMS
            rest = [f"and {more} problems more"] if more > 0 else []
            raise SpaceError("; ".join([*problems[:_MAX_PROBLEMS], *rest]))
        return coerced

    def landing(self, base: Config, changes: Mapping[str, object]) -> str:
        """One text for what changes make of a configuration, however their values are written;
        illegal ones, which run nothing, are as they are."""
        try:
            return canonical({"config": {**base, **self.check(changes)}})
        except SpaceError:
            return canonical({"illegal": {**base, **changes}})

    def moves(self, before: Config, after: Config) -> frozenset[tuple[str, str]]:
        """The (parameter, direction) pairs by which `after` differs from `before`; of a tuple the
        first place counts."""
        return frozenset(
            (name, self._by_name[name].direction(before[name], after[name]))
            for name in before
            if before[name] != after[name]
        )

    def ways(self, before: Config, after: Config) -> Iterator[tuple[str, str]]:
        """Like `moves`, with every place of a tuple that differs."""
        for name in before:
            for way in self._by_name[name].ways(before[name], after[name]):
                yield name, way


def canonical(config: Mapping[str, object]) -> str:
    """One text for equal configurations: what duplicates and caches are found by."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)


_KINDS = {
    "float": Float,
    "int": Int,
    "power_of_two": PowerOfTwo,
    "choice": Choice,
    "tuple": Tuple,
}


def _parameter(name: str, spec: Mapping[str, Any]) -> Parameter:
    fields = dict(spec)
    kind = fields.pop("type", None)
    if kind not in _KINDS:
        raise SpaceError(f"{name}: type={kind!r} is unknown; valid: {', '.join(_KINDS)}")
    frozen = {
        k: tuple(v) if isinstance(v, Sequence) and not isinstance(v, str) else v
        for k, v in fields.items()
    }
    try:
        made: Parameter = _KINDS[kind](name=name, **frozen)
    except TypeError as error:
        raise SpaceError(f"{name}: {error}; given: {', '.join(sorted(fields))}") from None
    return made


def space_from(specs: Mapping[str, Mapping[str, Any]], locked: Iterable[str] = ()) -> SearchSpace:
    """A space from plain data, as a config file writes it: name -> {type, ..., baseline}."""
    return SearchSpace(tuple(_parameter(n, s) for n, s in specs.items()), tuple(locked))
