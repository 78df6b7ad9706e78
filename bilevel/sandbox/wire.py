"""The words of the platform as JSON and back: plain values, and records of a fixed list of kinds.

Lists, texts, numbers and objects with text keys stand for themselves. Everything else is
`{"!": kind, "of": [...]}`; a kind that is not in the list is never made.
"""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from random import Random
from types import MappingProxyType
from typing import Any

from bilevel.invention import (
    Admission,
    Attempt,
    Candidate,
    GateVerdict,
    Invention,
    Score,
    Screening,
)
from bilevel.parameters import Choice, Float, Int, PowerOfTwo, Subset, Text, Tuple
from bilevel.space import SearchSpace
from bilevel.trace import Decision, Failure, FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import About, Answer, Brief

_Packed = Any
_RECORDS: tuple[type[Any], ...] = (
    *(Choice, Float, Int, PowerOfTwo, Subset, Text, Tuple, SearchSpace),
    *(Failure, Objective, Outcome, Proposal, Trial, Answer, Brief, About),
    *(Invention, Attempt, Admission, GateVerdict, Screening, Candidate, Score),
)
_ENUMS: tuple[type[Enum], ...] = (Decision, FailureKind)
_FIELDS = {
    kind.__name__: (kind, tuple(f.name for f in fields(kind) if f.init)) for kind in _RECORDS
}
_NAMED_ENUMS = {kind.__name__: kind for kind in _ENUMS}
_PLAIN = {str, int, bool, type(None)}
_FACTORIES = {kind.__name__: kind for kind in (int, float, str, list, dict, set)}
_COLLECTIONS = ("Counter", "defaultdict", "deque")
_OTHERS = (*_COLLECTIONS, "tuple", "set", "frozenset", "dict", "mappingproxy", "float", "Random")
_ALL = frozenset({*_FIELDS, *_NAMED_ENUMS, *_OTHERS})
_MAX_DEPTH = 20


def pack(value: Any, depth: int = 0) -> _Packed:
    """Return a value as JSON with tagged kinds. Raises TypeError for a kind that has no form."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if depth > _MAX_DEPTH:
        raise TypeError(f"nested more than {_MAX_DEPTH} deep")
    if kind is float:
        return value if math.isfinite(value) else {"!": "float", "of": str(value)}
    name = kind.__name__
    if _FIELDS.get(name, (None,))[0] is kind:
        return {"!": name, "of": [pack(getattr(value, f), depth + 1) for f in _FIELDS[name][1]]}
    if _NAMED_ENUMS.get(name) is kind:
        return {"!": name, "of": value.value}
    return _container(value, depth)


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as plain JSON, tuples as lists. Raises TypeError for any other kind."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if depth > _MAX_DEPTH:
        raise TypeError(f"nested more than {_MAX_DEPTH} deep")
    if kind is float:
        if not math.isfinite(value):
            raise TypeError(f"{value} is not a finite number; every number has to be finite")
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("the keys of a value are texts")
        return {str(key): plain(part, depth + 1) for key, part in value.items()}
    if kind in {list, tuple}:
        return [plain(part, depth + 1) for part in value]
    packed = _container(value, depth)
    if isinstance(packed, dict):
        raise TypeError(f"{kind.__name__} has no place in an answer; use numbers, texts, lists")
    return plain(packed, depth + 1) if isinstance(packed, list) else packed


def _container(value: Any, depth: int) -> _Packed:
    kind = type(value)
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if kind in {deque, Random, set, frozenset}:
        return {"!": kind.__name__, "of": _parts(value, depth + 1)}
    if kind.__module__ == "numpy" and hasattr(value, "item") and not hasattr(value, "__len__"):
        return pack(value.item(), depth)
    if isinstance(value, int | float | str) and not isinstance(value, Enum):
        base = next(b for b in (int, float, str) if isinstance(value, b))
        return pack(base(value), depth)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        listed = [pack(v, depth + 1) for v in value]
        return {"!": "tuple", "of": listed} if kind is tuple else listed
    raise TypeError(f"{kind.__name__} cannot be sent; use numbers, texts, lists, tuples, dicts")


def _parts(value: Any, depth: int) -> _Packed:
    if isinstance(value, Random):
        return pack(value.getstate(), depth)
    if isinstance(value, deque):
        return [[pack(v, depth) for v in value], value.maxlen]
    return sorted((pack(v, depth) for v in value), key=repr)


def _mapping(value: Mapping[Any, Any], depth: int) -> _Packed:
    if type(value) is MappingProxyType:
        return {"!": "mappingproxy", "of": pack(dict(value), depth + 1)}
    if type(value) is Counter:
        return {"!": "Counter", "of": _mapping(dict(value), depth + 1)}
    if type(value) is defaultdict:
        factory = getattr(value.default_factory, "__name__", "")
        if _FACTORIES.get(factory) is not value.default_factory:
            raise TypeError(f"a defaultdict can be sent with one of {', '.join(_FACTORIES)}")
        return {"!": "defaultdict", "of": [factory, _mapping(dict(value), depth + 1)]}
    if all(type(key) is str and key != "!" for key in value):
        return {key: pack(v, depth + 1) for key, v in value.items()}
    pairs = [[pack(k, depth + 1), pack(v, depth + 1)] for k, v in value.items()]
    return {"!": "dict", "of": pairs}


def unpack(packed: _Packed, allowed: Collection[str] = _ALL) -> Any:
    """Return the value of packed JSON. Raises ValueError or TypeError for what is no allowed
    kind."""
    if isinstance(packed, list):
        return [unpack(v, allowed) for v in packed]
    if not isinstance(packed, dict):
        return packed
    name = packed.get("!")
    if name is None:
        return {key: unpack(v, allowed) for key, v in packed.items()}
    if not isinstance(name, str) or name not in allowed or set(packed) != {"!", "of"}:
        raise ValueError(f"{str(name)[:40]!r} is not expected here")
    if name in _FIELDS:
        kind, names = _FIELDS[name]
        values = _listed(packed["of"])
        if len(values) > len(names):
            raise ValueError(f"a {name} of {len(values)} fields, expected at most {len(names)}")
        # one that was written before a field was there has its default: the later fields have some
        return kind(**{n: unpack(v, allowed) for n, v in zip(names, values, strict=False)})
    if name in _NAMED_ENUMS:
        return _NAMED_ENUMS[name](packed["of"])
    return _made(name, packed["of"], allowed)


def _made(name: str, of: _Packed, allowed: Collection[str]) -> Any:
    if name == "float":
        return float(of)
    if name in _COLLECTIONS:
        return _collection(name, of, allowed)
    if name == "dict":
        return {unpack(k, allowed): unpack(v, allowed) for k, v in _listed(of)}
    if name == "Random":
        made = Random()
        made.setstate(unpack(of, allowed))
        return made
    if name == "mappingproxy":
        return MappingProxyType(unpack(of, allowed))
    kinds: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}
    return kinds[name](unpack(v, allowed) for v in _listed(of))


def _collection(name: str, of: _Packed, allowed: Collection[str]) -> Any:
    if name == "Counter":
        return Counter(unpack(of, allowed))
    first, second = _listed(of, 2)
    if name == "deque":
        return deque(unpack(first, allowed), second)
    if first not in _FACTORIES:
        raise ValueError(f"a defaultdict of {str(first)[:40]!r}")
    return defaultdict(_FACTORIES[first], unpack(second, allowed))


def _listed(of: _Packed, length: int | None = None) -> list[Any]:
    if not isinstance(of, list) or (length is not None and len(of) != length):
        raise ValueError("a record of the wrong form")
    return of
