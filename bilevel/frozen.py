"""Read-only mappings and sequences: whoever is shown the state of a loop cannot change it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A dict that raises TypeError where it would be changed; `dict(...)` and copies can be
    changed.

    Unlike `types.MappingProxyType` it remains a dict to JSON, pickle and comparisons.
    """

    def _refuse(self, *args: Any, **changes: Any) -> NoReturn:
        raise TypeError("this mapping is read-only; change a copy: dict(...)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

    def __copy__(self) -> dict[K, V]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[K, V]:
        return {key: deepcopy(value, memo) for key, value in self.items()}


def frozen(value: Any) -> Any:
    """Returns the value with every mapping in it a FrozenDict, every list a tuple and every set a
    frozenset."""
    kind = type(value)
    if kind is FrozenDict or kind in (str, int, float, bool, type(None)):
        return value
    if isinstance(value, Mapping):
        return FrozenDict({key: frozen(part) for key, part in value.items()})
    if kind in (list, tuple):
        return tuple(frozen(part) for part in value)
    return frozenset(value) if kind is set else value
