"""The space: whatever is given, a value comes out legal or an error names what is wrong."""

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import SpaceError
from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Subset, Text, Tuple
from bilevel.space import SearchSpace, canonical, space_from

PARAMETERS: list[Parameter] = [
    Float("RATE", 0.001, 1.0, 0.1, log=True),
    Float("DECAY", -0.5, 0.5, 0.2),
    Int("DEPTH", 1, 8, 2),
    PowerOfTwo("BATCH", 2**4, 2**12, 2**8),
    Choice("WINDOW", ("SSSL", "LLLL"), "SSSL"),
    Tuple("BETAS", (0.5, 0.8), (0.99, 0.999), (0.8, 0.95)),
    Subset("frozen", ("A", "B", "C", "D", "E"), spare=2),
    Text("guidance", 20),
]
SPACE = SearchSpace(tuple(PARAMETERS), locked=("DEPTH",))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda p: p.name)
@given(value=anything)
def test_coerce_gives_a_stable_legal_value_or_a_named_error(
    parameter: Parameter, value: object
) -> None:
    try:
        coerced = parameter.coerce(value)
    except SpaceError as refused:
        told = str(refused)
    else:
        told = f"{parameter.name} {parameter.range}"
        assert parameter.coerce(coerced) == coerced
        assert parameter.coerce(json.loads(json.dumps(coerced))) == coerced
    assert parameter.name in told
    assert parameter.range in told


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda p: p.name)
@given(seed=st.integers())
def test_samples_are_legal(parameter: Parameter, seed: int) -> None:
    drawn = parameter.sample(Random(seed))
    assert parameter.coerce(drawn) == drawn


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH", "2**12"),
        ("BATCH", 100),
        ("BATCH", 2**13),
        ("RATE", float("nan")),
        ("RATE", "inf"),
        ("RATE", 10**400),
        ("RATE", True),
        ("RATE", 2),
        ("DECAY", "__import__('os')"),
        ("WINDOW", "sssl"),
        ("BETAS", [0.9]),
        ("BETAS", [0.9, 2.0]),
        ("BETAS", "(0.9, 0.95)"),
        ("frozen", ["A", "B", "C", "D"]),
        ("frozen", ["Z"]),
        ("guidance", "x" * 21),
    ],
)
def test_illegal_values_are_refused_with_the_range(name: str, value: object) -> None:
    with pytest.raises(SpaceError, match=name) as refused:
        SPACE.check({name: value})
    assert SPACE[name].range in str(refused.value)


def test_plain_numerals_are_coerced() -> None:
    given = {"RATE": "1e-2", "BATCH": "1024", "BETAS": [0.9, "0.99"]}
    assert SPACE.check(given) == {"RATE": 0.01, "BATCH": 1024, "BETAS": (0.9, 0.99)}


def test_every_problem_is_listed_at_once() -> None:
    with pytest.raises(SpaceError) as refused:
        SPACE.check({"NOPE": 1, "DEPTH": 4, "RATE": 7, "WINDOW": "LLLL"}, frozen=("WINDOW",))
    text = str(refused.value)
    assert "NOPE is not a parameter; valid: RATE, DECAY, BATCH" in text
    assert "DEPTH is locked" in text
    assert "RATE=7 is not legal" in text
    assert "WINDOW is frozen" in text


def test_moves_name_parameter_and_direction() -> None:
    before = SPACE.baseline
    after = {**before, "RATE": 0.2, "BATCH": 2**7, "WINDOW": "LLLL", "BETAS": (0.8, 0.9)}
    expected = {("RATE", "up"), ("BATCH", "down"), ("WINDOW", "to LLLL"), ("BETAS", "1 down")}
    assert SPACE.moves(before, after) == expected
    assert SPACE.moves(before, before) == frozenset()


def test_canonical_ignores_order() -> None:
    assert canonical({"a": 1, "b": (1, 2)}) == canonical({"b": [1, 2], "a": 1})


def test_a_space_from_plain_data() -> None:
    space = space_from(
        {
            "RATE": {"type": "float", "low": 0.1, "high": 1, "baseline": 0.5, "log": True},
            "WINDOW": {"type": "choice", "choices": ["S", "L"], "baseline": "L"},
        },
        locked=["WINDOW"],
    )
    assert [p.name for p in space.active] == ["RATE"]
    assert space.baseline == {"RATE": 0.5, "WINDOW": "L"}


@pytest.mark.parametrize(
    ("specs", "locked", "told"),
    [
        ({"A": {"type": "flot", "low": 0, "high": 1, "baseline": 0}}, [], "valid: float, int"),
        ({"A": {"type": "float", "low": 0, "high": 1, "baseline": 2}}, [], "A=2"),
        ({"A": {"type": "float", "low": 0, "hihg": 1, "baseline": 2}}, [], "hihg"),
        ({"A": {"type": "int", "low": 0, "high": 1, "baseline": 0}}, ["B"], "valid: A"),
    ],
)
def test_a_wrong_space_teaches(
    specs: dict[str, dict[str, object]], locked: list[str], told: str
) -> None:
    with pytest.raises(SpaceError, match=told):
        space_from(specs, locked)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"type": "float", "low": 0, "high": 1.0, "log": True}, "low=0 with log: true, and a log"),
        ({"type": "float", "low": -1e-3, "high": 1.0, "log": True}, "low=-0.001 with log: true"),
        ({"type": "float", "low": "a", "high": 1.0}, "X: low='a' is no number"),
        ({"type": "float", "low": 0.0, "high": float("inf")}, "X: high=inf is no number"),
        ({"type": "float", "low": 2.0, "high": 1.0}, "X: low=2.0 is above high=1.0"),
        (
            {"type": "int", "low": 0, "high": 8, "log": True},
            "X: .*'log'; given: baseline, high, lo",
        ),
        ({"type": "int", "low": 9, "high": 8}, "X: low=9 is above high=8"),
        ({"type": "power_of_two", "low": 0, "high": 8}, "X: low=0 is no power of two"),
        ({"type": "power_of_two", "low": 1, "high": 12}, "X: high=12 is no power of two"),
        ({"type": "tuple", "low": [0.1], "high": [0.9, 0.9]}, "X: low=.* are not as long"),
        ({"type": "tuple", "low": [1.0, 0.1], "high": [0.9, 0.9]}, "X: low=1.0 is above high=0.9"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(spec: dict[str, object], told: str) -> None:
    with pytest.raises(SpaceError, match=told):
        space_from({"X": {**spec, "baseline": 1}})
