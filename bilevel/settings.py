"""The types that a component annotates its settings with, and what they say of each of them.

A component (whatever a `_target_` names) describes its settings where it takes them: in the
signature of its constructor. An argument that is annotated with a type of this module is checked
before anything is opened or made, and one that is marked is treated as the mark says; what is
annotated otherwise is left to the component. So a task of one's own says

    class Mine(Task):
        def __init__(
            self, name: str, limit_s: Seconds, folder: Annotated[Text, FREE], depth: Count = 3
        ) -> None: ...

and `task.limit_s=x` is refused with `task.limit_s='x': expected a positive number of seconds`.
`Seconds | None = None` is one that may be left out; where null is a legal value, the type says so.
A type of one's own is `Annotated[int, Interval(ge=1, le=9), Expected("a digit above 0")]`, with
what pydantic understands in between.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Ge, Gt, Interval, MinLen, Predicate


@dataclass(frozen=True)
class Expected:
    """The words for a legal value, for messages; a setting without them is not checked."""

    words: str


class _Mark(Enum):
    """A mark on a setting that changes how it is treated."""

    FREE = "free"
    """Two commands that continue the same search may differ in it."""
    SECRET = "secret"
    """No message shows its value."""
    NOT_WHERE_DRY = "not where dry"
    """A plan of what a search would cost does without it."""


FREE, SECRET, NOT_WHERE_DRY = _Mark.FREE, _Mark.SECRET, _Mark.NOT_WHERE_DRY


@dataclass(frozen=True)
class SharedIf:
    """Marks the value with which the searches of a study learn from each other, so that its seeds
    are no independent repeats."""

    value: Any


@dataclass(frozen=True)
class Setting:
    """One setting as its component declares it."""

    name: str
    annotation: Any
    metadata: tuple[Any, ...]

    @property
    def expected(self) -> str:
        """The words for a legal value; the outermost annotation's, empty where any value is
        legal."""
        return next((one.words for one in reversed(self.metadata) if isinstance(one, Expected)), "")

    def allows(self, value: object) -> bool:
        """Returns whether the value is legal: strict about types (a bool is no number), finite
        numbers only."""
        from pydantic import ValidationError  # --help does without

        if not self.expected:
            return True
        try:
            self._adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    def shown(self, value: object) -> str:
        """Returns the value for a message; a secret is hidden."""
        return "(hidden)" if SECRET in self.metadata else repr(value)

    def is_shared(self, value: object) -> bool:
        return any(isinstance(one, SharedIf) and one.value == value for one in self.metadata)

    @cached_property
    def _adapter(self) -> Any:
        from pydantic import ConfigDict, TypeAdapter

        return TypeAdapter(self.annotation, config=ConfigDict(strict=True, allow_inf_nan=False))


@cache
def settings_of(component: Callable[..., Any]) -> Mapping[str, Setting]:
    """Returns name -> setting for the settings that a component declares."""
    found: dict[str, Setting] = {}
    try:
        arguments = inspect.signature(component).parameters.values()
    except ValueError:  # one that is built in
        return found
    for argument in arguments:
        annotation = _resolved(argument.annotation, component)
        metadata = getattr(annotation, "__metadata__", ())
        if any(isinstance(one, Expected | _Mark | SharedIf) for one in metadata):
            found[argument.name] = Setting(argument.name, annotation, metadata)
    return found


def _resolved(annotation: Any, component: Callable[..., Any]) -> Any:
    """Returns an annotation without `| None`; one written as a text is evaluated, None where a name
    is missing."""
    if isinstance(annotation, str):
        maker: Any = component.__dict__.get("__init__", component)
        try:
            annotation = eval(annotation, vars(sys.modules[maker.__module__]))
        except NameError:  # imported for type checkers only
            return None
    given = [one for one in get_args(annotation) if one is not NoneType]
    is_optional = get_origin(annotation) in (Union, UnionType) and len(given) == 1
    return given[0] if is_optional else annotation


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value not in {"", "???"}


def _matching(pattern: str) -> Predicate:
    return Predicate(lambda text: re.fullmatch(pattern, text) is not None)


_Variable = Annotated[str, _matching("[A-Z_][A-Z0-9_]*")]
_Text = Annotated[str, MinLen(1)]
_Amount = Annotated[float, Ge(0)]
_PATH = "a path: give it on the command line or in a file under conf/"

Switch = Annotated[bool, Expected("true or false")]
Text = Annotated[_Text, Expected("some text")]
Name = Annotated[
    str,
    _matching("[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"),
    Expected("at most 100 letters, digits, '_', '.', '-', and no space"),
]
Count = Annotated[int, Ge(1), Expected("a whole number of at least 1")]
Whole = Annotated[int, Ge(0), Expected("a whole number of at least 0")]
WholeOrNone = Annotated[Annotated[int, Ge(0)] | None, Expected("a whole number, or null")]
Seconds = Annotated[float, Ge(1e-6), Expected("a positive number of seconds")]
Factor = Annotated[float, Ge(1e-6), Expected("a positive number")]
Amount = Annotated[_Amount, Expected("a number of at least 0")]
Spread = Annotated[_Amount | None, Expected("a number of at least 0, or null")]
Cap = Annotated[Annotated[float, Gt(0)] | None, Expected("a positive number or null")]
CountCap = Annotated[Annotated[int, Gt(0)] | None, Expected("a positive number or null")]
AboveOne = Annotated[float, Gt(1), Expected("a number above 1")]
Warmth = Annotated[Annotated[float, Interval(ge=0, le=2)] | None, Expected("a number in [0, 2]")]
Variable = Annotated[
    _Variable | None, Expected("the name of an environment variable (never the key itself)")
]
Variables = Annotated[
    Sequence[_Variable], Expected("a list of names of environment variables (never their values)")
]
File = Annotated[str, Predicate(_is_path), Expected(_PATH)]
Words = Annotated[Sequence[_Text], Expected("a list of names, as in [one,two]")]
Command = Annotated[
    Sequence[str | int | float],
    MinLen(1),
    Expected("a command as a list of words, as in ['{python}','{script}']"),
]
Pattern = Annotated[_Text | None, Expected("a regular expression with one group, or null")]
Sha256 = Annotated[
    Annotated[str, _matching("[0-9a-f]{64}")] | None,
    Expected("a sha256 in hexadecimal, or null"),
]
Parameters = Annotated[
    Mapping[str, Mapping[str, Any]],
    MinLen(1),
    Expected(
        "at least one parameter to search, in a file under conf/ or, on the command line, as in "
        "'+task.parameters.RATE={type: float, low: 0.0, high: 1.0}'"
    ),
]


def one_of(choices: Iterable[str]) -> tuple[Predicate, Expected]:
    """Returns the arguments for `Annotated[str, *one_of(...)]`."""
    known = tuple(choices)
    return Predicate(known.__contains__), Expected(f"one of {', '.join(known)}")
