"""What a component says of its settings in its signature, and what is legal then."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from annotated_types import Interval

from bilevel import settings
from bilevel.settings import (
    FREE,
    NOT_WHERE_DRY,
    SECRET,
    Count,
    Expected,
    File,
    Seconds,
    Setting,
    SharedIf,
    Text,
    Variable,
    one_of,
    settings_of,
)

if TYPE_CHECKING:
    from decimal import Decimal

Digit = Annotated[int, Interval(ge=1, le=9), Expected("a digit above 0")]


class Mine:
    """As somebody might write it who knows of the platform what `bilevel.settings` says."""

    def __init__(
        self,
        name: str,
        limit_s: Seconds,
        folder: Annotated[File, FREE, NOT_WHERE_DRY] | None = None,
        key: Annotated[Variable, SECRET] = None,
        digit: "Digit" = 3,
        exact: "Decimal | None" = None,
        memory: Annotated[str, *one_of(("own", "all")), SharedIf("all")] = "own",
        **further: Any,
    ) -> None: ...


@dataclass(frozen=True)
class Record:
    depth: Count
    width: int = 1


def test_what_is_annotated_with_a_type_of_ours_is_described() -> None:
    found = settings_of(Mine)
    assert [*found] == ["limit_s", "folder", "key", "digit", "memory"]
    assert found["limit_s"].expected == "a positive number of seconds"
    assert FREE in found["folder"].metadata
    assert NOT_WHERE_DRY in found["folder"].metadata
    assert FREE not in found["limit_s"].metadata


def test_records_and_functions_describe_theirs_alike() -> None:
    def make(*, depth: Count, **others: Any) -> Record:
        return Record(depth, **others)

    assert [*settings_of(Record)] == [*settings_of(make)] == ["depth"]


def test_a_subclass_inherits_them_with_the_constructor() -> None:
    class Other(Mine):
        pass

    assert settings_of(Other) == settings_of(Mine)


def test_a_type_of_ones_own() -> None:
    digit = settings_of(Mine)["digit"]
    assert [n for n in range(-1, 12) if digit.allows(n)] == [*range(1, 10)]


def test_a_choice_is_one_of_those_named() -> None:
    memory = settings_of(Mine)["memory"]
    assert memory.expected == "one of own, all"
    assert [value for value in ("own", "all", "", None, ["own"]) if memory.allows(value)] == [
        *("own", "all")
    ]
    assert [value for value in ("own", "all") if memory.is_shared(value)] == ["all"]


def test_what_may_be_left_out_is_no_null() -> None:
    assert not settings_of(Mine)["folder"].allows(None)
    assert settings_of(Mine)["key"].allows(None)


def test_no_message_shows_a_secret() -> None:
    assert settings_of(Mine)["key"].shown("sk-1") == "(hidden)"
    assert settings_of(Mine)["limit_s"].shown("x") == "'x'"


def test_words_of_ones_own_are_added_last() -> None:
    annotation: Any = Annotated[File, Expected("a folder")]
    assert Setting("x", annotation, annotation.__metadata__).expected == "a folder"


def test_a_mark_alone_allows_anything() -> None:
    """Also where the type is one that only the component knows."""
    assert Setting("x", Annotated[str | None, FREE], (FREE,)).allows(3)
    assert Setting("x", Annotated[Mine, FREE], (FREE,)).allows({"_target_": "tests.Mine"})


VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, 1.5, -1, math.nan, math.inf, "", "x", "A", "a b", "???", "f" * 64),
    *([], ["a"], ["A"], [1], [""], [None], {}, {"a": {}}, {"a": 1}),
)
LEGAL: Mapping[str, tuple[Any, ...]] = {
    "Switch": (True,),
    "Text": ("x", "A", "a b", "???", "f" * 64),
    "Name": ("x", "A", "f" * 64),
    "Count": (1,),
    "Whole": (0, 1),
    "WholeOrNone": (None, 0, 1),
    "Seconds": (1, 1.5),
    "Factor": (1, 1.5),
    "Amount": (0, 1, 1.5),
    "Spread": (None, 0, 1, 1.5),
    "Cap": (None, 1, 1.5),
    "CountCap": (None, 1),
    "AboveOne": (1.5,),
    "Warmth": (None, 0, 1, 1.5),
    "Variable": (None, "A"),
    "Variables": ([], ["A"]),
    "File": ("x", "A", "a b", "f" * 64),
    "Words": ([], ["a"], ["A"]),
    "Command": (["a"], ["A"], [1], [""]),
    "Pattern": (None, "x", "A", "a b", "???", "f" * 64),
    "Sha256": (None, "f" * 64),
    "Parameters": ({"a": {}},),
}


@pytest.mark.parametrize("name", LEGAL)
def test_types_are_strict(name: str) -> None:
    """A bool is no number, a text is no number and no list, and numbers are finite."""
    annotation = getattr(settings, name)
    said = Setting(name, annotation, annotation.__metadata__)
    assert said.expected
    assert [value for value in VALUES if said.allows(value)] == [*LEGAL[name]]


def test_every_type_is_among_them() -> None:
    types = {n for n, v in vars(settings).items() if hasattr(v, "__metadata__") and n[0] != "_"}
    assert types == {*LEGAL}
    assert Text in vars(settings).values()
