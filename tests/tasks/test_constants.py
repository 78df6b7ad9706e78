"""Editing constants: the named ones change, every other byte stays."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import TaskError
from bilevel.tasks.constants import edit, names, read

SOURCE = '''\
"""Ein Skript mit Umlauten: äöü."""
import math
BATCH = 2**19  # tokens, é
RATE: float = 0.04; DECAY = 0.2
BETAS = (
    0.8,  # first
    0.95,
)
WINDOW = "SSSL"
WIDTH = math.pi
def main():
    BATCH = 3
    return BATCH
'''


def test_constants_are_read() -> None:
    names = ["BATCH", "RATE", "DECAY", "BETAS", "WINDOW"]
    expected = {"BATCH": 2**19, "RATE": 0.04, "DECAY": 0.2, "BETAS": (0.8, 0.95), "WINDOW": "SSSL"}
    assert read(SOURCE, names) == expected


def test_only_the_named_ones_change() -> None:
    edited = edit(SOURCE, {"BATCH": 2**18, "DECAY": 0.1, "WINDOW": "LLLL"})
    assert edited == SOURCE.replace("2**19", "262144").replace("= 0.2", "= 0.1").replace(
        '"SSSL"', "'LLLL'"
    )
    assert edit(SOURCE, {}) == SOURCE


@given(
    batch=st.integers(),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    window=st.text(st.characters(codec="utf-8"), max_size=20),
    betas=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_what_is_written_is_read_again(
    batch: int, rate: float, window: str, betas: tuple[float, float]
) -> None:
    values = {"BATCH": batch, "RATE": rate, "WINDOW": window, "BETAS": betas}
    edited = edit(SOURCE, values)
    assert read(edited, list(values)) == values
    assert read(edited, ["DECAY"]) == {"DECAY": 0.2}
    ast.parse(edited)


@pytest.mark.parametrize(
    ("source", "name", "told"),
    [
        (SOURCE, "DEPTH", "no top-level constant DEPTH; it has: BATCH, RATE"),
        (SOURCE, "WIDTH", "not assigned one literal"),
        ("A = 1\nA = 2\n", "A", "not assigned one literal, once"),
        ("A = (\n", "A", "does not parse: line 1"),
    ],
)
def test_what_cannot_be_edited_is_told(source: str, name: str, told: str) -> None:
    with pytest.raises(TaskError, match=told):
        edit(source, {name: 1})


def test_another_language_has_no_names_and_nothing_to_edit() -> None:
    shell = "#!/bin/sh\nRATE=0.1; case $1 in a) ;; esac\n"
    assert names(shell) == set()
    assert edit(shell, {}) == shell
    assert names(SOURCE) >= {"BATCH", "RATE", "BETAS"}
