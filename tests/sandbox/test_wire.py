"""What goes over the wire comes back as it was, and nothing else is made of what comes."""

import json
from collections import Counter, defaultdict, deque
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.sandbox.wire import pack, unpack
from bilevel.trace import Proposal

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)
)
VALUES = st.recursive(
    PLAIN,
    lambda inside: st.one_of(
        st.lists(inside, max_size=4),
        st.lists(inside, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=9), st.integers()), inside, max_size=4),
        st.sets(st.integers(), max_size=4),
        st.lists(st.text(max_size=5), max_size=6).map(Counter),
        st.lists(inside, max_size=4).map(lambda made: deque(made, maxlen=5)),
        st.dictionaries(st.text(max_size=5), inside, max_size=3).map(
            lambda made: defaultdict(int, made)
        ),
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    return bool(type(one) is type(other) and one == other)


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert same(unpack(json.loads(json.dumps(pack(value)))), value)


def test_what_a_collection_does_with_what_is_missing_comes_back() -> None:
    assert unpack(pack(defaultdict(list)))["new"] == []
    assert unpack(pack(Counter("aab")))["z"] == 0
    assert unpack(pack(deque([1, 2], maxlen=2))).maxlen == 2


def test_a_number_of_numpy_is_a_number() -> None:
    assert same(unpack(pack(np.int64(3))), 3)
    assert same(unpack(pack(np.float64(0.5))), 0.5)
    assert same(unpack(pack(np.bool_(True))), True)
    assert same(unpack(pack([np.float32(0.5)])), [0.5])


def test_a_generator_goes_on_where_it_was() -> None:
    rng = Random(3)
    rng.random()
    assert unpack(pack(rng)).random() == rng.random()


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, b"bytes", defaultdict(lambda: 1), np.zeros(3), open, 1j]
)
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        pack(value)


@pytest.mark.parametrize(
    "packed",
    [
        {"!": "defaultdict", "of": ["eval", {}]},
        {"!": "Popen", "of": []},
        {"!": "deque", "of": [1]},
        {"!": "Counter"},
        {"!": ["list"], "of": []},
    ],
)
def test_a_lie_is_refused(packed: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        unpack(packed)


def test_a_record_from_before_a_field_was_there_has_its_default() -> None:
    packed = pack(Proposal({"X": 1.0}, hypothesis="why"))
    short = {**packed, "of": packed["of"][:2]}
    assert unpack(short) == Proposal({"X": 1.0}, hypothesis="why")
    with pytest.raises(TypeError):
        unpack({**packed, "of": []})
    with pytest.raises(ValueError, match="expected at most"):
        unpack({**packed, "of": [*packed["of"], 1]})
